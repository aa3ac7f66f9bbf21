//! Declarations of the N-API and libuv functions used, by hand: about fifty symbols that have been stable for years,
//! which the node binary exports. Nothing here has behaviour; `napi.rs` and `uv.rs` give the safe forms.

#![allow(non_camel_case_types)]

use std::ffi::{c_char, c_int, c_void};

pub type napi_env = *mut c_void;
pub type napi_value = *mut c_void;
pub type napi_ref = *mut c_void;
pub type napi_callback_info = *mut c_void;
pub type napi_handle_scope = *mut c_void;
pub type napi_async_context = *mut c_void;
pub type napi_async_cleanup_hook_handle = *mut c_void;
pub type napi_status = c_int;
pub type napi_callback = unsafe extern "C" fn(napi_env, napi_callback_info) -> napi_value;
pub type napi_finalize = unsafe extern "C" fn(napi_env, *mut c_void, *mut c_void);
pub type napi_async_cleanup_hook = unsafe extern "C" fn(napi_async_cleanup_hook_handle, *mut c_void);
pub type uv_cb = unsafe extern "C" fn(*mut c_void);
pub type uv_poll_cb = unsafe extern "C" fn(*mut c_void, c_int, c_int);

pub const NAPI_OK: napi_status = 0;
pub const NAPI_PENDING_EXCEPTION: napi_status = 10;
pub const NAPI_AUTO_LENGTH: usize = usize::MAX;
/// napi_typedarray_type of a Float64Array.
pub const NAPI_FLOAT64_ARRAY: c_int = 8;

/// Values of libuv's `uv_handle_type`, part of its 1.x ABI.
pub const UV_POLL: c_int = 8;
pub const UV_PREPARE: c_int = 9;
#[cfg(not(target_os = "linux"))]
pub const UV_TIMER: c_int = 13;
pub const UV_READABLE: c_int = 1;
pub const UV_WRITABLE: c_int = 2;

unsafe extern "C" {
    pub fn napi_create_function(
        env: napi_env,
        name: *const c_char,
        length: usize,
        callback: napi_callback,
        data: *mut c_void,
        result: *mut napi_value,
    ) -> napi_status;
    pub fn napi_create_object(env: napi_env, result: *mut napi_value) -> napi_status;
    pub fn napi_create_array(env: napi_env, result: *mut napi_value) -> napi_status;
    pub fn napi_set_element(env: napi_env, object: napi_value, index: u32, value: napi_value) -> napi_status;
    pub fn napi_set_named_property(
        env: napi_env,
        object: napi_value,
        name: *const c_char,
        value: napi_value,
    ) -> napi_status;
    pub fn napi_get_named_property(
        env: napi_env,
        object: napi_value,
        name: *const c_char,
        result: *mut napi_value,
    ) -> napi_status;
    pub fn napi_get_cb_info(
        env: napi_env,
        info: napi_callback_info,
        argc: *mut usize,
        argv: *mut napi_value,
        this: *mut napi_value,
        data: *mut *mut c_void,
    ) -> napi_status;
    pub fn napi_get_value_double(env: napi_env, value: napi_value, result: *mut f64) -> napi_status;
    pub fn napi_get_value_bool(env: napi_env, value: napi_value, result: *mut bool) -> napi_status;
    pub fn napi_get_value_string_utf8(
        env: napi_env,
        value: napi_value,
        buffer: *mut c_char,
        capacity: usize,
        result: *mut usize,
    ) -> napi_status;
    pub fn napi_get_buffer_info(
        env: napi_env,
        value: napi_value,
        data: *mut *mut c_void,
        length: *mut usize,
    ) -> napi_status;
    pub fn napi_create_double(env: napi_env, value: f64, result: *mut napi_value) -> napi_status;
    pub fn napi_create_int32(env: napi_env, value: i32, result: *mut napi_value) -> napi_status;
    pub fn napi_create_string_utf8(
        env: napi_env,
        text: *const c_char,
        length: usize,
        result: *mut napi_value,
    ) -> napi_status;
    pub fn napi_get_undefined(env: napi_env, result: *mut napi_value) -> napi_status;
    pub fn napi_get_global(env: napi_env, result: *mut napi_value) -> napi_status;
    pub fn napi_create_external_arraybuffer(
        env: napi_env,
        data: *mut c_void,
        length: usize,
        finalize: napi_finalize,
        hint: *mut c_void,
        result: *mut napi_value,
    ) -> napi_status;
    pub fn napi_create_typedarray(
        env: napi_env,
        kind: c_int,
        length: usize,
        buffer: napi_value,
        offset: usize,
        result: *mut napi_value,
    ) -> napi_status;
    pub fn napi_add_finalizer(
        env: napi_env,
        object: napi_value,
        data: *mut c_void,
        finalize: napi_finalize,
        hint: *mut c_void,
        result: *mut napi_ref,
    ) -> napi_status;
    pub fn napi_create_reference(env: napi_env, value: napi_value, count: u32, result: *mut napi_ref) -> napi_status;
    pub fn napi_get_reference_value(env: napi_env, reference: napi_ref, result: *mut napi_value) -> napi_status;
    pub fn napi_delete_reference(env: napi_env, reference: napi_ref) -> napi_status;
    pub fn napi_open_handle_scope(env: napi_env, result: *mut napi_handle_scope) -> napi_status;
    pub fn napi_close_handle_scope(env: napi_env, scope: napi_handle_scope) -> napi_status;
    pub fn napi_async_init(
        env: napi_env,
        resource: napi_value,
        name: napi_value,
        result: *mut napi_async_context,
    ) -> napi_status;
    pub fn napi_async_destroy(env: napi_env, context: napi_async_context) -> napi_status;
    pub fn napi_make_callback(
        env: napi_env,
        context: napi_async_context,
        receiver: napi_value,
        function: napi_value,
        argc: usize,
        argv: *const napi_value,
        result: *mut napi_value,
    ) -> napi_status;
    pub fn napi_throw_error(env: napi_env, code: *const c_char, message: *const c_char) -> napi_status;
    pub fn napi_get_and_clear_last_exception(env: napi_env, result: *mut napi_value) -> napi_status;
    pub fn napi_fatal_exception(env: napi_env, error: napi_value) -> napi_status;
    pub fn napi_get_uv_event_loop(env: napi_env, result: *mut *mut c_void) -> napi_status;
    pub fn napi_add_async_cleanup_hook(
        env: napi_env,
        hook: napi_async_cleanup_hook,
        argument: *mut c_void,
        result: *mut napi_async_cleanup_hook_handle,
    ) -> napi_status;
    pub fn napi_remove_async_cleanup_hook(handle: napi_async_cleanup_hook_handle) -> napi_status;

    pub fn uv_handle_size(kind: c_int) -> usize;
    #[cfg(unix)]
    pub fn uv_poll_init(uv_loop: *mut c_void, handle: *mut c_void, fd: c_int) -> c_int;
    #[cfg(windows)]
    pub fn uv_poll_init_socket(uv_loop: *mut c_void, handle: *mut c_void, socket: u64) -> c_int;
    pub fn uv_poll_start(handle: *mut c_void, events: c_int, callback: uv_poll_cb) -> c_int;
    pub fn uv_poll_stop(handle: *mut c_void) -> c_int;
    pub fn uv_prepare_init(uv_loop: *mut c_void, handle: *mut c_void) -> c_int;
    pub fn uv_prepare_start(handle: *mut c_void, callback: uv_cb) -> c_int;
    pub fn uv_prepare_stop(handle: *mut c_void) -> c_int;
    #[cfg(not(target_os = "linux"))]
    pub fn uv_timer_init(uv_loop: *mut c_void, handle: *mut c_void) -> c_int;
    #[cfg(not(target_os = "linux"))]
    pub fn uv_timer_start(handle: *mut c_void, callback: uv_cb, timeout: u64, repeat: u64) -> c_int;
    #[cfg(not(target_os = "linux"))]
    pub fn uv_update_time(uv_loop: *mut c_void);
    pub fn uv_ref(handle: *mut c_void);
    pub fn uv_unref(handle: *mut c_void);
    pub fn uv_close(handle: *mut c_void, callback: Option<uv_cb>);
}
