//! Reads the CPU clocks of the kernel, in nanoseconds.

use std::io;

fn read(clock: libc::clockid_t) -> io::Result<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local timespec, and the kernel checks the clock.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// Returns the CPU time of the calling thread.
pub fn thread_ns() -> io::Result<u64> {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Returns the CPU time of all threads of a process, including ended ones.
pub fn process_ns(pid: libc::pid_t) -> io::Result<u64> {
    let mut clock = 0;
    // SAFETY: the pointer is to a local clock id.
    match unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) } {
        0 => read(clock),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}
