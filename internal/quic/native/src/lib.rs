//! QUIC for Postern: quinn-proto (the protocol without I/O), quinn-udp (batched sockets) and rustls, driven on the
//! JavaScript thread. README.md in the folder above documents the interface towards TypeScript.
//!
//! `lib` registers the module; `calls`, `flows` and `figures` are the methods; `shared` ties JavaScript, libuv and the engine
//! together; `engine` runs connections over `socket`, with `table`, `timers`, `admission`, `events` and `watched`; `config`,
//! `tls` and `pin` read the settings; `napi`, `uv` and `sys` are the border to Node.

mod admission;
mod calls;
mod config;
mod engine;
mod events;
mod figures;
mod flows;
mod napi;
mod pin;
mod shared;
mod socket;
mod sys;
mod table;
#[cfg(test)]
mod testing;
mod timers;
mod tls;
mod uv;
mod watched;

use config::Settings;
use engine::Engine;
use napi::{Call, Callback, Env, Fault, Value};
use shared::Shared;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;

/// Version of the interface between this library and `native.ts`; both must say the same.
const INTERFACE: i32 = 5;

thread_local! {
    /// Where the last panic of this thread began.
    static PANIC_PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// createEndpoint(settings, onEvents) → endpoint object
fn create(call: &Call) -> Result<Value, Fault> {
    let settings = Settings::read(call.env, call.value(0))?;
    let engine = Engine::new(&settings)?;
    let callback =
        Callback::new(call.env, call.value(1)).ok_or_else(|| Fault::argument("onEvents must be a function"))?;
    let shared = Shared::open(call.env, engine, callback)?;
    Ok(calls::object(call.env, &shared))
}

unsafe extern "C" fn create_endpoint(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    // SAFETY: `env` and `info` are those of the running callback.
    let call = unsafe { Call::new(env, info) };
    match catch_unwind(AssertUnwindSafe(|| create(&call))) {
        Ok(Ok(value)) => return value,
        Ok(Err(fault)) => call.env.throw(&fault),
        Err(payload) => call.env.throw(&Fault::new(c"ERR_PANIC", shared::describe_panic(payload.as_ref()))),
    }
    null_mut()
}

/// The N-API version this library needs.
#[unsafe(no_mangle)]
pub extern "C" fn node_api_module_get_api_version_v1() -> i32 {
    8
}

/// Called by Node when it loads the library, once per environment.
///
/// # Safety
/// For Node only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn napi_register_module_v1(env: sys::napi_env, exports: Value) -> Value {
    // Panics are caught and told to JavaScript: keep the place, print nothing.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        PANIC_PLACE.with(|kept| *kept.borrow_mut() = place);
    }));
    // SAFETY: Node calls with the live environment.
    let env = unsafe { Env::new(env) };
    env.set(exports, c"createEndpoint", env.function(c"createEndpoint", create_endpoint, null_mut()));
    env.set(exports, c"interfaceVersion", env.int(INTERFACE));
    exports
}
