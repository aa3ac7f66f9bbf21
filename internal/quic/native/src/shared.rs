//! One endpoint between JavaScript, libuv and the engine: the rules of borrowing, turns and lifetimes.
//!
//! Ownership: `Shared` is counted. Its method functions, the memory given to JavaScript and the open libuv handles hold
//! one count each, so whichever lives longest frees it; the engine inside is dropped as soon as the endpoint closes.
//! No borrow of the engine is held while JavaScript runs: events are queued, the borrow ends, JavaScript is called once
//! with the batch, and what it wrote is flushed.

use crate::engine::Engine;
use crate::events::{self, BATCH, RECORD};
use crate::napi::{Callback, Env, Fault, panic_text};
use crate::uv::{self, Callbacks, HANDLE_COUNT, Handles};
use crate::{PANIC_PLACE, sys};
use std::cell::{Cell, RefCell, RefMut, UnsafeCell};
use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::rc::Rc;
use std::time::Instant;

/// Numbers in front of the event records, for results of calls.
pub const STATE: usize = 64;
const MEMORY: usize = STATE + BATCH * RECORD;
/// Rounds of events and flushes in one turn; what is left waits for the next, so that a dialogue between JavaScript and
/// the engine cannot hold the event loop.
const ROUNDS: usize = 16;

pub struct Shared {
    memory: Box<[UnsafeCell<f64>]>,
    engine: RefCell<Option<Engine>>,
    handles: RefCell<Option<Handles>>,
    callback: RefCell<Option<Rc<Callback>>>,
    /// JavaScript is running inside `emit`: the turn flushes afterwards.
    in_callback: Cell<bool>,
    prepared: Cell<bool>,
    closing: Cell<bool>,
    failure: RefCell<Option<String>>,
    open_handles: Cell<usize>,
    cleanup: Cell<sys::napi_async_cleanup_hook_handle>,
}

impl Shared {
    pub fn open(env: Env, engine: Engine, callback: Callback) -> Result<Rc<Self>, Fault> {
        let mut uv_loop = null_mut();
        // SAFETY: env is live; the result goes to a valid place.
        let status = unsafe { sys::napi_get_uv_event_loop(env.raw(), &mut uv_loop) };
        if status != sys::NAPI_OK || uv_loop.is_null() {
            return Err(Fault::new(c"ERR_LOOP", "This runtime has no libuv event loop"));
        }
        let shared = Rc::new(Self {
            memory: (0..MEMORY).map(|_| UnsafeCell::new(0.0)).collect(),
            engine: RefCell::new(None),
            handles: RefCell::new(None),
            callback: RefCell::new(Some(Rc::new(callback))),
            in_callback: Cell::new(false),
            prepared: Cell::new(false),
            closing: Cell::new(false),
            failure: RefCell::new(None),
            open_handles: Cell::new(HANDLE_COUNT),
            cleanup: Cell::new(null_mut()),
        });
        let data = Rc::into_raw(shared.clone()).cast_mut().cast::<c_void>();
        let callbacks = Callbacks { poll: on_poll, prepare: on_prepare, timer: on_timer, closed: on_closed };
        // SAFETY: the loop is that of this environment; the engine keeps the socket open until after `Handles::close`;
        // `data` is a count of its own, given back by the last `on_closed`.
        let handles = unsafe { Handles::new(uv_loop, &engine.socket.socket, callbacks, data) };
        let handles = handles.map_err(|error| {
            // SAFETY: no handle holds the count, so it is taken back here.
            unsafe { drop(Rc::from_raw(data.cast::<Self>())) };
            Fault::new(c"ERR_LOOP", format_args!("The event loop does not take the socket: {error}"))
        })?;
        shared.handles.replace(Some(handles));
        shared.engine.replace(Some(engine));
        let mut cleanup = null_mut();
        // SAFETY: `data` outlives the hook, which `on_closed` removes together with the count.
        unsafe { sys::napi_add_async_cleanup_hook(env.raw(), on_cleanup, data, &mut cleanup) };
        shared.cleanup.set(cleanup);
        Ok(shared)
    }

    /// The engine, unless the endpoint is closed. Panics when it is borrowed already: that is a mistake of ours, which the
    /// border reports, and must not look like a closed endpoint.
    pub fn engine(&self) -> Option<RefMut<'_, Engine>> {
        RefMut::filter_map(self.engine.borrow_mut(), Option::as_mut).ok()
    }

    /// Writes one of the result numbers.
    pub fn set_state(&self, index: usize, value: f64) {
        self.put(index, value);
    }

    fn put(&self, index: usize, value: f64) {
        // SAFETY: the index is checked by the slice; JavaScript reads this memory on the same thread, never while we
        // write, and Rust hands out no reference to it.
        unsafe { *self.memory[index].get() = value };
    }

    /// The shared memory as a Float64Array; it holds a count of `self` until collected.
    pub fn memory_value(self: &Rc<Self>, env: Env) -> crate::napi::Value {
        let data = self.memory.as_ptr().cast_mut().cast::<c_void>();
        let hint = Rc::into_raw(self.clone()).cast_mut().cast::<c_void>();
        let (mut buffer, mut array) = (null_mut(), null_mut());
        // SAFETY: the memory lives as long as `self`, which the finalizer releases; lengths match.
        unsafe {
            sys::napi_create_external_arraybuffer(env.raw(), data, MEMORY * 8, release, hint, &mut buffer);
            sys::napi_create_typedarray(env.raw(), sys::NAPI_FLOAT64_ARRAY, MEMORY, buffer, 0, &mut array);
        }
        array
    }

    /// Has what was written flushed: after the callback if JavaScript runs inside one, else before the loop polls.
    pub fn schedule_flush(&self) {
        if self.in_callback.get() || self.prepared.get() {
            return;
        }
        if let Some(handles) = self.handles.borrow().as_ref() {
            self.prepared.set(true);
            handles.start_prepare();
        }
    }

    pub fn set_referenced(&self, referenced: bool) {
        if let Some(handles) = self.handles.borrow().as_ref() {
            handles.set_referenced(referenced);
        }
    }

    /// Closes the endpoint once no connection is left.
    pub fn close_when_idle(&self) {
        self.closing.set(true);
        self.schedule_flush();
    }

    /// Hands over the events of what was just received. Sending waits for the end of the loop's turn, so that what
    /// JavaScript sends in other callbacks of it (answers of origins) shares packets and system calls, and takes the
    /// acknowledgements along.
    fn deliver(&self) {
        let Some(mut engine) = self.engine() else { return };
        engine.collect_dirty();
        drop(engine);
        self.emit();
        self.schedule_flush();
    }

    /// Hands over events, lets JavaScript act on them, sends what came of it; then sets timer and readiness.
    fn turn(&self) {
        for _ in 0..ROUNDS {
            let Some(mut engine) = self.engine() else { return };
            engine.collect_dirty();
            drop(engine);
            self.emit();
            let Some(mut engine) = self.engine() else { return };
            engine.flush();
            if engine.events.is_empty() {
                break;
            }
        }
        self.settle();
    }

    fn emit(&self) {
        let mut texts = Vec::new();
        loop {
            texts.clear();
            let Some(mut engine) = self.engine() else { return };
            let count = engine.events.take(|index, value| self.put(STATE + index, value), &mut texts);
            drop(engine);
            if count == 0 {
                return;
            }
            self.notify(count, &texts);
        }
    }

    fn notify(&self, count: usize, texts: &[Box<str>]) {
        // A count of its own: JavaScript may destroy the endpoint while it runs.
        let Some(callback) = self.callback.borrow().clone() else { return };
        self.in_callback.set(true);
        callback.call(|env| {
            let texts = if texts.is_empty() { env.undefined() } else { env.strings(texts) };
            [env.int(count as i32), texts]
        });
        self.in_callback.set(false);
    }

    fn settle(&self) {
        let Some(engine) = self.engine() else { return };
        if self.closing.get() && engine.conns.len() == 0 {
            drop(engine);
            return self.finish(events::ENDPOINT_CLOSED, &[]);
        }
        let mut handles = self.handles.borrow_mut();
        let Some(handles) = handles.as_mut() else { return };
        handles.poll_writable(engine.socket.is_blocked());
        if !engine.events.is_empty() {
            handles.arm(Instant::now());
        } else if let Some(deadline) = engine.next_deadline() {
            handles.arm(deadline);
        }
    }

    /// Ends the endpoint now: connections are forgotten without a word, the socket closes.
    pub fn destroy(&self) {
        self.release_socket();
        drop(self.callback.take());
    }

    /// The handles first: they watch the engine's socket.
    fn release_socket(&self) {
        let handles = self.handles.borrow_mut().take();
        if let Some(handles) = handles {
            handles.close();
        }
        drop(self.engine.take());
    }

    /// Ends the endpoint, then tells JavaScript with one last event: the port is free when it learns of it.
    fn finish(&self, kind: u8, texts: &[Box<str>]) {
        self.release_socket();
        self.put(STATE, f64::from(kind));
        self.notify(1, texts);
        drop(self.callback.take());
    }

    /// After a panic the engine's state is unknown: the endpoint ends.
    fn fail(&self, text: String) {
        self.finish(events::FAILED, &[text.into_boxed_str()]);
    }

    /// Remembers a panic inside a call from JavaScript; the endpoint ends at the next turn.
    pub fn poison(&self, text: String) {
        self.failure.replace(Some(text));
        self.in_callback.set(false);
        self.schedule_flush();
    }
}

/// The text of a caught panic with the place it came from.
pub fn describe_panic(payload: &(dyn std::any::Any + Send)) -> String {
    let place = PANIC_PLACE.with(|place| place.take());
    format!("{} ({})", panic_text(payload), place.unwrap_or_else(|| "unknown place".to_owned()))
}

/// Runs a libuv callback: finds the endpoint, and lets no panic out.
///
/// # Safety
/// `handle` must be one of ours whose count is still held, which is so until its `on_closed`.
unsafe fn guarded(handle: *mut c_void, run: impl FnOnce(&Shared)) {
    // SAFETY: the caller vouches for the handle; a count of our own keeps `Shared` alive while JavaScript closes it.
    let shared = unsafe {
        let data = uv::data(handle).cast::<Shared>();
        Rc::increment_strong_count(data);
        Rc::from_raw(data)
    };
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| run(&shared))) {
        let text = describe_panic(payload.as_ref());
        // A second panic while ending the endpoint must not get out either; nothing more can be done about it.
        drop(catch_unwind(AssertUnwindSafe(|| shared.fail(text))));
    }
}

unsafe extern "C" fn on_poll(handle: *mut c_void, status: c_int, ready: c_int) {
    let run = |shared: &Shared| {
        if status < 0 {
            return shared.fail(format!("The event loop cannot watch the socket: error {status}"));
        }
        if let Some(mut engine) = shared.engine() {
            if ready & sys::UV_WRITABLE != 0 {
                engine.socket.retry();
            }
            if ready & sys::UV_READABLE != 0 {
                engine.receive();
            }
        }
        shared.deliver();
    };
    // SAFETY: libuv calls with an open handle of ours.
    unsafe { guarded(handle, run) };
}

unsafe extern "C" fn on_prepare(handle: *mut c_void) {
    let run = |shared: &Shared| {
        shared.prepared.set(false);
        if let Some(handles) = shared.handles.borrow().as_ref() {
            handles.stop_prepare();
        }
        let failure = shared.failure.take();
        match failure {
            Some(text) => shared.fail(text),
            None => shared.turn(),
        }
    };
    // SAFETY: as above.
    unsafe { guarded(handle, run) };
}

fn expire(shared: &Shared) {
    if let Some(handles) = shared.handles.borrow_mut().as_mut() {
        handles.disarm();
    }
    if let Some(mut engine) = shared.engine() {
        engine.expire();
    }
    shared.turn();
}

#[cfg(target_os = "linux")]
unsafe extern "C" fn on_timer(handle: *mut c_void, _status: c_int, _ready: c_int) {
    // SAFETY: as above.
    unsafe { guarded(handle, expire) };
}

#[cfg(not(target_os = "linux"))]
unsafe extern "C" fn on_timer(handle: *mut c_void) {
    // SAFETY: as above.
    unsafe { guarded(handle, expire) };
}

/// Called once a handle; the last gives back the count that the handles held.
unsafe extern "C" fn on_closed(handle: *mut c_void) {
    // SAFETY: libuv is done with the handle; `data` is the count of the handles, still held.
    let data = unsafe {
        let data = uv::data(handle).cast::<Shared>();
        uv::free(handle);
        data
    };
    // SAFETY: the count is given back only below.
    let shared = unsafe { &*data };
    shared.open_handles.set(shared.open_handles.get() - 1);
    if shared.open_handles.get() > 0 {
        return;
    }
    let cleanup = shared.cleanup.replace(null_mut());
    // SAFETY: the hook is removed once, and before its argument may go; then the count is given back, once.
    unsafe {
        if !cleanup.is_null() {
            sys::napi_remove_async_cleanup_hook(cleanup);
        }
        drop(Rc::from_raw(data));
    }
}

/// The environment (process or worker thread) ends.
unsafe extern "C" fn on_cleanup(_hook: sys::napi_async_cleanup_hook_handle, data: *mut c_void) {
    // SAFETY: `data` is the count of the handles; the hook is removed before it is given back.
    let shared = unsafe { &*data.cast::<Shared>() };
    // No JavaScript may be called any more, and there is nobody to tell about a panic.
    drop(catch_unwind(AssertUnwindSafe(|| shared.destroy())));
}

/// Finalizer of everything in JavaScript that holds a count.
pub unsafe extern "C" fn release(_env: sys::napi_env, _data: *mut c_void, hint: *mut c_void) {
    // SAFETY: `hint` is a count made by `Rc::into_raw` for exactly this finalizer.
    unsafe { drop(Rc::from_raw(hint.cast::<Shared>())) };
}
