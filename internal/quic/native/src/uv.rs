//! The libuv handles of one endpoint: readiness of its socket, a flush just before the loop polls, and one timer.
//! Handles are allocated here, belong to libuv while open, and are freed in their close callbacks. `data` is the first
//! field of every libuv handle, by its ABI; it holds the pointer given to `new` (a counted reference, see `shared.rs`).

use crate::sys;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ffi::{c_int, c_void};
use std::time::{Duration, Instant};

/// What libuv calls; each gets the handle, whose `data` leads to the endpoint.
pub struct Callbacks {
    pub poll: sys::uv_poll_cb,
    pub prepare: sys::uv_cb,
    #[cfg(target_os = "linux")]
    pub timer: sys::uv_poll_cb,
    #[cfg(not(target_os = "linux"))]
    pub timer: sys::uv_cb,
    pub closed: sys::uv_cb,
}

/// The open handles of one endpoint.
pub struct Handles {
    #[cfg(not(target_os = "linux"))]
    uv_loop: *mut c_void,
    poll: *mut c_void,
    prepare: *mut c_void,
    timer: *mut c_void,
    #[cfg(target_os = "linux")]
    timer_fd: std::os::fd::OwnedFd,
    callbacks: Callbacks,
    polled: c_int,
    armed: Option<Instant>,
}

/// How many handles are closed by `close`, each with a call of `Callbacks::closed`.
pub const HANDLE_COUNT: usize = 3;

fn layout(kind: c_int) -> Layout {
    // SAFETY: a pure function of libuv.
    let size = unsafe { sys::uv_handle_size(kind) };
    // Room for the handle after a header that remembers the kind, so that `free` knows the layout again.
    Layout::from_size_align(size + HEADER, 16).expect("libuv handle sizes are small")
}

/// Bytes in front of the handle; keeps its alignment of 16.
const HEADER: usize = 16;

fn allocate(kind: c_int, data: *mut c_void) -> *mut c_void {
    // SAFETY: the layout is not empty; the header holds the kind, the first field of the handle is `data`.
    unsafe {
        let base = alloc_zeroed(layout(kind));
        assert!(!base.is_null(), "out of memory");
        base.cast::<c_int>().write(kind);
        let handle = base.add(HEADER).cast::<c_void>();
        handle.cast::<*mut c_void>().write(data);
        handle
    }
}

/// Frees a handle; call from its close callback only.
///
/// # Safety
/// `handle` must come from `allocate` and be closed.
pub unsafe fn free(handle: *mut c_void) {
    // SAFETY: `allocate` made the block HEADER bytes in front of the handle and wrote its kind there.
    unsafe {
        let base = handle.cast::<u8>().sub(HEADER);
        dealloc(base, layout(base.cast::<c_int>().read()));
    }
}

/// The `data` of a handle.
///
/// # Safety
/// `handle` must come from `allocate`.
pub unsafe fn data(handle: *mut c_void) -> *mut c_void {
    // SAFETY: `data` is the first field of a libuv handle.
    unsafe { handle.cast::<*mut c_void>().read() }
}

impl Handles {
    /// # Safety
    /// `uv_loop` must be the loop of the running environment, `socket` stays open until `close`, and `data` stays valid
    /// until the last `closed` callback.
    pub unsafe fn new(
        uv_loop: *mut c_void,
        socket: &std::net::UdpSocket,
        callbacks: Callbacks,
        data: *mut c_void,
    ) -> std::io::Result<Self> {
        #[cfg(target_os = "linux")]
        let timer_fd = timer_fd()?;
        let (poll, prepare) = (allocate(sys::UV_POLL, data), allocate(sys::UV_PREPARE, data));
        // SAFETY: fresh handles of the right size on a live loop; descriptors are open.
        let status = unsafe {
            #[cfg(unix)]
            let status = sys::uv_poll_init(uv_loop, poll, std::os::fd::AsRawFd::as_raw_fd(socket));
            #[cfg(windows)]
            let status =
                sys::uv_poll_init_socket(uv_loop, poll, std::os::windows::io::AsRawSocket::as_raw_socket(socket));
            status
        };
        if status != 0 {
            // SAFETY: neither handle is known to libuv.
            unsafe {
                free(poll);
                free(prepare);
            }
            return Err(std::io::Error::from_raw_os_error(-status));
        }
        // SAFETY: as above. The prepare and timer handles never keep the process alive by themselves.
        let timer = unsafe {
            sys::uv_prepare_init(uv_loop, prepare);
            sys::uv_unref(prepare);
            #[cfg(target_os = "linux")]
            let timer = {
                let timer = allocate(sys::UV_POLL, data);
                sys::uv_poll_init(uv_loop, timer, std::os::fd::AsRawFd::as_raw_fd(&timer_fd));
                sys::uv_poll_start(timer, sys::UV_READABLE, callbacks.timer);
                timer
            };
            #[cfg(not(target_os = "linux"))]
            let timer = {
                let timer = allocate(sys::UV_TIMER, data);
                sys::uv_timer_init(uv_loop, timer);
                timer
            };
            sys::uv_unref(timer);
            sys::uv_poll_start(poll, sys::UV_READABLE, callbacks.poll);
            timer
        };
        Ok(Self {
            #[cfg(not(target_os = "linux"))]
            uv_loop,
            poll,
            prepare,
            timer,
            #[cfg(target_os = "linux")]
            timer_fd,
            callbacks,
            polled: sys::UV_READABLE,
            armed: None,
        })
    }

    /// Whether to be told when the socket takes packets again.
    pub fn poll_writable(&mut self, wanted: bool) {
        let events = if wanted { sys::UV_READABLE | sys::UV_WRITABLE } else { sys::UV_READABLE };
        if events != self.polled {
            self.polled = events;
            // SAFETY: the handle is open.
            unsafe { sys::uv_poll_start(self.poll, events, self.callbacks.poll) };
        }
    }

    /// Asks for one call of `prepare` just before the loop polls again.
    pub fn start_prepare(&self) {
        // SAFETY: the handle is open; starting a started handle does nothing.
        unsafe { sys::uv_prepare_start(self.prepare, self.callbacks.prepare) };
    }

    pub fn stop_prepare(&self) {
        // SAFETY: the handle is open.
        unsafe { sys::uv_prepare_stop(self.prepare) };
    }

    /// Makes the timer fire at `deadline` at the latest. A later one than is armed already is left for the next firing.
    pub fn arm(&mut self, deadline: Instant) {
        if self.armed.is_some_and(|armed| armed <= deadline) {
            return;
        }
        self.armed = Some(deadline);
        self.start_timer(deadline.saturating_duration_since(Instant::now()));
    }

    /// The timer has fired.
    pub fn disarm(&mut self) {
        self.armed = None;
        #[cfg(target_os = "linux")]
        {
            let mut count = [0u8; 8];
            // SAFETY: a timerfd read writes eight bytes; the descriptor is open and non-blocking.
            unsafe {
                libc::read(std::os::fd::AsRawFd::as_raw_fd(&self.timer_fd), count.as_mut_ptr().cast(), count.len());
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn start_timer(&self, wait: Duration) {
        // Zero would disarm it, so at least a nanosecond.
        let value = libc::timespec {
            tv_sec: wait.as_secs().min(i32::MAX as u64) as libc::time_t,
            tv_nsec: if wait.is_zero() { 1 } else { wait.subsec_nanos() as libc::c_long },
        };
        let interval = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let setting = libc::itimerspec { it_interval: interval, it_value: value };
        // SAFETY: the descriptor is open, `setting` is complete.
        unsafe {
            libc::timerfd_settime(std::os::fd::AsRawFd::as_raw_fd(&self.timer_fd), 0, &setting, std::ptr::null_mut());
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn start_timer(&self, wait: Duration) {
        // libuv counts from the start of its turn, in milliseconds: refresh its clock and round up.
        let wait_ms = wait.as_micros().div_ceil(1000) as u64;
        // SAFETY: loop and handle are live.
        unsafe {
            sys::uv_update_time(self.uv_loop);
            sys::uv_timer_start(self.timer, self.callbacks.timer, wait_ms, 0);
        }
    }

    /// Whether the socket keeps the process alive.
    pub fn set_referenced(&self, referenced: bool) {
        // SAFETY: the handle is open.
        unsafe { if referenced { sys::uv_ref(self.poll) } else { sys::uv_unref(self.poll) } };
    }

    /// Closes all; `closed` is called `HANDLE_COUNT` times later, and must `free` its handle.
    pub fn close(self) {
        // SAFETY: the handles are open and not used afterwards: `self` is consumed. Polling stops before the
        // descriptors close.
        unsafe {
            sys::uv_poll_stop(self.poll);
            sys::uv_prepare_stop(self.prepare);
            #[cfg(target_os = "linux")]
            sys::uv_poll_stop(self.timer);
            for handle in [self.poll, self.prepare, self.timer] {
                sys::uv_close(handle, Some(self.callbacks.closed));
            }
        }
    }
}

/// A timer of nanosecond resolution that the loop's own epoll watches: pacing waits are far below libuv's millisecond.
#[cfg(target_os = "linux")]
fn timer_fd() -> std::io::Result<std::os::fd::OwnedFd> {
    // SAFETY: no pointers; a negative result is an error.
    let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: `fd` is fresh and ours alone.
    Ok(unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) })
}
