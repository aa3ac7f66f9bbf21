//! The methods of an endpoint that JavaScript calls. Each is synchronous, checks every number it gets, and only marks
//! what has to be sent: sending happens at the end of the turn. README.md documents them for the TypeScript side.

use crate::engine::{Engine, canonical};
use crate::figures::{endpoint_stats, path_details, stats};
use crate::flows::{
    max_datagram, open_stream, read, read_datagrams, received_reset, reset, send_datagram, stop, write,
};
use crate::napi::{Call, Env, Fault, Value};
use crate::shared::{Shared, describe_panic, release};
use crate::sys;
use bytes::Bytes;
use quinn_proto as qp;
use std::ffi::{CStr, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::rc::Rc;
use std::time::Instant;

/// The connection or stream does not exist (any more).
pub const GONE: i32 = -2;

pub type Outcome = Result<Value, Fault>;
type Method = fn(&Call, &Shared) -> Outcome;

/// Calls a method with no panic getting out: it is thrown, and ends the endpoint.
unsafe fn enter(env: sys::napi_env, info: sys::napi_callback_info, method: Method) -> Value {
    // SAFETY: called by the trampolines below with what Node gave them.
    let call = unsafe { Call::new(env, info) };
    // SAFETY: `data` is the count that the function holds until its finalizer (`object`).
    let shared = unsafe { &*call.data.cast::<Shared>() };
    match catch_unwind(AssertUnwindSafe(|| method(&call, shared))) {
        Ok(Ok(value)) => return value,
        Ok(Err(fault)) => call.env.throw(&fault),
        Err(payload) => {
            let text = describe_panic(payload.as_ref());
            shared.poison(text.clone());
            call.env.throw(&Fault::new(c"ERR_PANIC", text));
        }
    }
    null_mut()
}

macro_rules! methods {
    ($($name:ident as $js:literal),* $(,)?) => {
        mod trampolines {
            $(pub unsafe extern "C" fn $name(
                env: crate::sys::napi_env,
                info: crate::sys::napi_callback_info,
            ) -> crate::napi::Value {
                // SAFETY: `env` and `info` are those of the running callback.
                unsafe { super::enter(env, info, super::$name) }
            })*
        }
        const METHODS: &[(&CStr, sys::napi_callback)] = &[$(($js, trampolines::$name)),*];
    };
}

methods! {
    address as c"address", connect as c"connect", open_stream as c"openStream", read as c"read", received_reset as c"receivedReset", write as c"write",
    reset as c"reset", stop as c"stop", send_datagram as c"sendDatagram", read_datagrams as c"readDatagrams",
    max_datagram as c"maxDatagram", stats as c"stats", path_details as c"pathDetails", endpoint_stats as c"endpointStats",
    remote_address as c"remoteAddress", local_address as c"localAddress", close as c"close", notify_flushed as c"notifyFlushed", ping as c"ping",
    set_identity as c"setIdentity", shutdown as c"shutdown", destroy as c"destroy", set_referenced as c"setReferenced", provoke_panic as c"provokePanic",
}

/// The JavaScript object of an endpoint: its methods, and `memory`. Every function carries the pointer itself and holds a
/// count, so JavaScript has nothing it could forge or use too late.
pub fn object(env: Env, shared: &Rc<Shared>) -> Value {
    let object = env.object();
    for (name, callback) in METHODS {
        let data = Rc::into_raw(shared.clone()).cast_mut().cast::<c_void>();
        let function = env.function(name, *callback, data);
        // SAFETY: the finalizer gives back the count made for this function.
        unsafe { sys::napi_add_finalizer(env.raw(), function, null_mut(), release, data, null_mut()) };
        env.set(object, name, function);
    }
    env.set(object, c"memory", shared.memory_value(env));
    object
}

pub fn varint(value: f64) -> Result<qp::VarInt, Fault> {
    let whole = value.fract() == 0.0 && (0.0..4_611_686_018_427_387_904.0).contains(&value);
    let number = whole.then_some(value as u64).and_then(|value| qp::VarInt::from_u64(value).ok());
    number.ok_or_else(|| Fault::argument("a code must be a whole number from 0 to 2^62-1"))
}

/// Runs `use_it` with the connection of argument 0 and marks it for sending; `None` when it is gone.
pub fn with_conn<T>(
    call: &Call,
    shared: &Shared,
    use_it: impl FnOnce(&mut Engine, usize) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    let handle = call.number(0)?;
    let Some(mut engine) = shared.engine() else { return Ok(None) };
    let Some(slot) = engine.conns.find(handle) else { return Ok(None) };
    let result = use_it(&mut engine, slot)?;
    Ok(Some(result))
}

pub fn changed(engine: &mut Engine, slot: usize, shared: &Shared) {
    engine.mark(slot);
    shared.schedule_flush();
}

/// address() → "ip:port"
fn address(call: &Call, shared: &Shared) -> Outcome {
    let text = shared.engine().and_then(|engine| engine.socket.socket.local_addr().ok());
    Ok(call.env.string(&text.map(|address| canonical(address).to_string()).unwrap_or_default()))
}

/// connect("ip:port", serverName) → connection
fn connect(call: &Call, shared: &Shared) -> Outcome {
    let remote = call.text(0)?;
    let remote = remote.parse().map_err(|_| Fault::argument(&format!("'{remote}' is not IP:port")))?;
    let name = call.text(1)?;
    let Some(mut engine) = shared.engine() else {
        return Err(Fault::new(c"ERR_CLOSED", "The endpoint is closed"));
    };
    let handle = engine.connect(remote, &name)?;
    shared.schedule_flush();
    Ok(call.env.number(handle))
}

/// remoteAddress(connection) → "ip:port" now; "" when gone
fn remote_address(call: &Call, shared: &Shared) -> Outcome {
    let address = with_conn(call, shared, |engine, slot| {
        Ok(engine.conns.get(slot).map(|conn| canonical(conn.inner.remote_address()).to_string()))
    })?;
    Ok(call.env.string(&address.flatten().unwrap_or_default()))
}

/// close(connection, code, reason): CONNECTION_CLOSE; no CLOSED event follows, DRAINED does
fn close(call: &Call, shared: &Shared) -> Outcome {
    let (code, reason) = (varint(call.number(1)?)?, call.text(2)?);
    with_conn(call, shared, |engine, slot| {
        if let Some(conn) = engine.conns.get_mut(slot) {
            conn.inner.close(Instant::now(), code, Bytes::from(reason.into_bytes()));
            changed(engine, slot, shared);
        }
        Ok(())
    })?;
    Ok(call.env.undefined())
}

/// localAddress(connection) → "ip:port" of our end, the IP of the last packet's destination; "" when gone
fn local_address(call: &Call, shared: &Shared) -> Outcome {
    let address = with_conn(call, shared, |engine, slot| {
        let Ok(mut bound) = engine.socket.socket.local_addr() else { return Ok(None) };
        if let Some(ip) = engine.conns.get(slot).and_then(|conn| conn.inner.local_ip()) {
            bound.set_ip(ip);
        }
        Ok(Some(canonical(bound).to_string()))
    })?;
    Ok(call.env.string(&address.flatten().unwrap_or_default()))
}

/// notifyFlushed(connection, openStreams): FLUSHED follows once every sending side but those open is acknowledged
fn notify_flushed(call: &Call, shared: &Shared) -> Outcome {
    let open = call.number(1)?;
    with_conn(call, shared, |engine, slot| {
        if let Some(conn) = engine.conns.get_mut(slot) {
            conn.wants_flushed = Some(open as usize);
            changed(engine, slot, shared);
        }
        Ok(())
    })?;
    Ok(call.env.undefined())
}

/// ping(connection): sends a packet the peer must acknowledge; PONG follows with the next acknowledgement
fn ping(call: &Call, shared: &Shared) -> Outcome {
    with_conn(call, shared, |engine, slot| {
        if let Some(conn) = engine.conns.get_mut(slot) {
            conn.inner.ping();
            conn.ping = Some(conn.inner.stats().frame_rx.acks);
            changed(engine, slot, shared);
        }
        Ok(())
    })?;
    Ok(call.env.undefined())
}

/// shutdown(): accepts no more; ENDPOINT_CLOSED follows once the last connection is drained
fn shutdown(call: &Call, shared: &Shared) -> Outcome {
    if let Some(mut engine) = shared.engine() {
        engine.stop_accepting();
    }
    shared.close_when_idle();
    Ok(call.env.undefined())
}

/// destroy(): sends what is marked, then ends the endpoint without waiting; no event follows
fn destroy(call: &Call, shared: &Shared) -> Outcome {
    if let Some(mut engine) = shared.engine() {
        engine.flush();
    }
    shared.destroy();
    Ok(call.env.undefined())
}

/// setIdentity(cert, key): PEM texts that new connections see; throws ERR_TLS and keeps the old ones
fn set_identity(call: &Call, shared: &Shared) -> Outcome {
    let (chain, key) = (call.text(0)?, call.text(1)?);
    if let Some(mut engine) = shared.engine() {
        engine.set_identity(chain.as_bytes(), key.as_bytes())?;
    }
    Ok(null_mut())
}

/// setReferenced(boolean): whether the open socket keeps the process alive
fn set_referenced(call: &Call, shared: &Shared) -> Outcome {
    shared.set_referenced(call.flag(0)?);
    Ok(call.env.undefined())
}

/// provokePanic(): panics, so that tests can show that it is thrown, told by FAILED, and that Node lives on
fn provoke_panic(_call: &Call, _shared: &Shared) -> Outcome {
    panic!("provoked by a test");
}
