//! Safe forms of the N-API calls used. An `Env` exists only while Node is calling us on the thread that owns it, which
//! is what every call below needs; failures of N-API itself give null values or `None`, never undefined behaviour.

use crate::sys;
use std::any::Any;
use std::cell::Cell;
use std::ffi::{CStr, CString, c_void};
use std::ops::{Deref, DerefMut};
use std::ptr::null_mut;

pub type Value = sys::napi_value;

/// An error on its way to JavaScript: thrown as `Error` with `code`.
pub struct Fault {
    pub code: &'static CStr,
    pub message: String,
}

impl Fault {
    pub fn new(code: &'static CStr, message: impl std::fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }

    /// An argument of the wrong type or out of range: a mistake of our own TypeScript.
    pub fn argument(what: &str) -> Self {
        Self::new(c"ERR_ARGUMENT", format_args!("QUIC native call: {what}"))
    }
}

/// The N-API environment, valid for the duration of the call from Node that gave it.
#[derive(Clone, Copy)]
pub struct Env(sys::napi_env);

impl Env {
    /// # Safety
    /// `raw` must be the environment of the running call, on its JavaScript thread.
    pub unsafe fn new(raw: sys::napi_env) -> Self {
        Self(raw)
    }

    pub fn raw(self) -> sys::napi_env {
        self.0
    }

    pub fn undefined(self) -> Value {
        let mut out = null_mut();
        // SAFETY: env is live (type invariant); `out` is a valid place for the result.
        unsafe { sys::napi_get_undefined(self.0, &mut out) };
        out
    }

    pub fn int(self, value: i32) -> Value {
        let mut out = null_mut();
        // SAFETY: as above.
        unsafe { sys::napi_create_int32(self.0, value, &mut out) };
        out
    }

    pub fn number(self, value: f64) -> Value {
        let mut out = null_mut();
        // SAFETY: as above.
        unsafe { sys::napi_create_double(self.0, value, &mut out) };
        out
    }

    pub fn string(self, text: &str) -> Value {
        let mut out = null_mut();
        // SAFETY: as above; pointer and length describe `text`, which N-API copies.
        unsafe { sys::napi_create_string_utf8(self.0, text.as_ptr().cast(), text.len(), &mut out) };
        out
    }

    pub fn object(self) -> Value {
        let mut out = null_mut();
        // SAFETY: as above.
        unsafe { sys::napi_create_object(self.0, &mut out) };
        out
    }

    /// A JavaScript array of strings.
    pub fn strings(self, texts: &[Box<str>]) -> Value {
        let mut out = null_mut();
        // SAFETY: as above.
        unsafe { sys::napi_create_array(self.0, &mut out) };
        for (index, text) in (0u32..).zip(texts) {
            let value = self.string(text);
            // SAFETY: `out` and `value` are values of this scope.
            unsafe { sys::napi_set_element(self.0, out, index, value) };
        }
        out
    }

    pub fn set(self, object: Value, name: &CStr, value: Value) {
        // SAFETY: both are values of this scope, `name` ends with NUL.
        unsafe { sys::napi_set_named_property(self.0, object, name.as_ptr(), value) };
    }

    pub fn get(self, object: Value, name: &CStr) -> Value {
        let mut out = null_mut();
        // SAFETY: `object` is a value of this scope, `name` ends with NUL.
        unsafe { sys::napi_get_named_property(self.0, object, name.as_ptr(), &mut out) };
        out
    }

    /// A function whose calls reach `callback` with `data`; the caller keeps `data` alive as long as the function lives.
    pub fn function(self, name: &CStr, callback: sys::napi_callback, data: *mut c_void) -> Value {
        let mut out = null_mut();
        // SAFETY: `name` ends with NUL, `callback` has the declared signature; `data` is only handed back to it.
        unsafe {
            sys::napi_create_function(self.0, name.as_ptr(), sys::NAPI_AUTO_LENGTH, callback, data, &mut out);
        }
        out
    }

    pub fn to_f64(self, value: Value) -> Option<f64> {
        let mut out = 0.0;
        // SAFETY: a null `value` (missing argument) is reported by N-API as an invalid argument.
        (unsafe { sys::napi_get_value_double(self.0, value, &mut out) } == sys::NAPI_OK).then_some(out)
    }

    pub fn to_bool(self, value: Value) -> Option<bool> {
        let mut out = false;
        // SAFETY: as above.
        (unsafe { sys::napi_get_value_bool(self.0, value, &mut out) } == sys::NAPI_OK).then_some(out)
    }

    pub fn to_string(self, value: Value) -> Option<String> {
        let mut length = 0;
        // SAFETY: a null buffer asks for the length only.
        if unsafe { sys::napi_get_value_string_utf8(self.0, value, null_mut(), 0, &mut length) } != sys::NAPI_OK {
            return None;
        }
        let mut bytes = vec![0u8; length + 1];
        // SAFETY: `bytes` has room for `length` bytes and the NUL that N-API appends.
        unsafe {
            sys::napi_get_value_string_utf8(self.0, value, bytes.as_mut_ptr().cast(), bytes.len(), &mut length);
        }
        bytes.truncate(length);
        String::from_utf8(bytes).ok()
    }

    pub fn throw(self, fault: &Fault) {
        let message = CString::new(fault.message.replace('\0', " ")).unwrap_or_default();
        // SAFETY: both texts end with NUL and are copied.
        unsafe { sys::napi_throw_error(self.0, fault.code.as_ptr(), message.as_ptr()) };
    }
}

/// Most arguments that any method takes.
const MAX_ARGUMENTS: usize = 4;

/// The arguments of one call from JavaScript.
pub struct Call {
    pub env: Env,
    arguments: [Value; MAX_ARGUMENTS],
    pub data: *mut c_void,
    /// A `Bytes` of this call is alive.
    lent: Cell<bool>,
}

/// The bytes of a Buffer or Uint8Array, lent for as long as the call that got it lives. JavaScript does not run meanwhile,
/// so the memory can neither move nor be written by another; a call lends one at a time, so none is reached twice.
pub struct Bytes<'call> {
    bytes: &'call mut [u8],
    lent: &'call Cell<bool>,
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

impl DerefMut for Bytes<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.bytes
    }
}

impl Drop for Bytes<'_> {
    fn drop(&mut self) {
        self.lent.set(false);
    }
}

impl Call {
    /// # Safety
    /// `env` and `info` must be what Node passed to the running callback.
    pub unsafe fn new(env: sys::napi_env, info: sys::napi_callback_info) -> Self {
        let mut arguments = [null_mut(); MAX_ARGUMENTS];
        let (mut count, mut data) = (MAX_ARGUMENTS, null_mut());
        // SAFETY: `arguments` has room for `count` values; missing ones become undefined.
        unsafe {
            sys::napi_get_cb_info(env, info, &mut count, arguments.as_mut_ptr(), null_mut(), &mut data);
        }
        // SAFETY: the caller vouches for `env`.
        Self { env: unsafe { Env::new(env) }, arguments, data, lent: Cell::new(false) }
    }

    pub fn value(&self, index: usize) -> Value {
        self.arguments[index]
    }

    pub fn number(&self, index: usize) -> Result<f64, Fault> {
        self.env.to_f64(self.arguments[index]).ok_or_else(|| Fault::argument("a number is expected"))
    }

    pub fn flag(&self, index: usize) -> Result<bool, Fault> {
        self.env.to_bool(self.arguments[index]).ok_or_else(|| Fault::argument("a boolean is expected"))
    }

    pub fn text(&self, index: usize) -> Result<String, Fault> {
        self.env.to_string(self.arguments[index]).ok_or_else(|| Fault::argument("a string is expected"))
    }

    /// The bytes of a buffer argument. One may be lent at a time.
    pub fn bytes(&self, index: usize) -> Result<Bytes<'_>, Fault> {
        if self.lent.get() {
            return Err(Fault::argument("one Buffer of a call can be used at a time"));
        }
        let (mut data, mut length) = (null_mut(), 0);
        // SAFETY: a value that is no buffer is reported as a status.
        let status = unsafe { sys::napi_get_buffer_info(self.env.0, self.arguments[index], &mut data, &mut length) };
        if status != sys::NAPI_OK {
            return Err(Fault::argument("a Buffer is expected"));
        }
        let bytes: &mut [u8] = if length == 0 || data.is_null() {
            &mut []
        } else {
            // SAFETY: N-API says that `data` points at `length` bytes. The slice lives no longer than this call, during
            // which JavaScript does not run, and `lent` keeps a second one from being made.
            unsafe { std::slice::from_raw_parts_mut(data.cast(), length) }
        };
        self.lent.set(true);
        Ok(Bytes { bytes, lent: &self.lent })
    }
}

/// The text of a caught panic.
pub fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned());
    format!("QUIC engine panicked: {}", text.unwrap_or_else(|| "no message".to_owned()))
}

/// A strong reference to a function of JavaScript, with the async context its calls run in.
pub struct Callback {
    env: sys::napi_env,
    function: sys::napi_ref,
    context: sys::napi_async_context,
}

impl Callback {
    pub fn new(env: Env, function: Value) -> Option<Self> {
        let (mut reference, mut context) = (null_mut(), null_mut());
        // SAFETY: `function` is a value of the running call; results go to valid places.
        unsafe {
            if sys::napi_create_reference(env.0, function, 1, &mut reference) != sys::NAPI_OK {
                return None;
            }
            let name = env.string("PosternQuic");
            sys::napi_async_init(env.0, null_mut(), name, &mut context);
        }
        Some(Self { env: env.0, function: reference, context })
    }

    /// Calls the function outside of any JavaScript, then runs what Node runs after a callback (next ticks, promises).
    /// An exception becomes an uncaught exception of the process, as for any event listener.
    pub fn call(&self, arguments: impl FnOnce(Env) -> [Value; 2]) {
        let env = Env(self.env);
        let mut scope = null_mut();
        // SAFETY: libuv callbacks run on the JavaScript thread with no scope open, so one is opened and closed here; the
        // reference and context are alive until drop.
        unsafe {
            if sys::napi_open_handle_scope(self.env, &mut scope) != sys::NAPI_OK {
                return;
            }
            let (mut function, mut global, mut result) = (null_mut(), null_mut(), null_mut());
            sys::napi_get_reference_value(self.env, self.function, &mut function);
            sys::napi_get_global(self.env, &mut global);
            let values = arguments(env);
            let status = sys::napi_make_callback(
                self.env,
                self.context,
                global,
                function,
                values.len(),
                values.as_ptr(),
                &mut result,
            );
            if status == sys::NAPI_PENDING_EXCEPTION {
                let mut error = null_mut();
                sys::napi_get_and_clear_last_exception(self.env, &mut error);
                sys::napi_fatal_exception(self.env, error);
            }
            sys::napi_close_handle_scope(self.env, scope);
        }
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        // SAFETY: both were created in `new` and are released once, here, on the JavaScript thread.
        unsafe {
            sys::napi_delete_reference(self.env, self.function);
            sys::napi_async_destroy(self.env, self.context);
        }
    }
}
