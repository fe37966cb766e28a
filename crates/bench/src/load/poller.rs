//! epoll and a timer of sub-millisecond resolution, without `unsafe`.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use anyhow::Result;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

const EVENTS_MAX: usize = 256;
/// What the timer is registered as.
pub(crate) const TIMER: u64 = u64::MAX;

/// A socket that can be read, written or both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    pub(crate) id: u64,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

/// What is waited for.
pub(crate) struct Poller {
    epoll: OwnedFd,
    timer: Option<OwnedFd>,
    events: Vec<epoll::Event>,
    ready: Vec<Ready>,
}

impl Poller {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            timer: None,
            events: Vec::with_capacity(EVENTS_MAX),
            ready: Vec::with_capacity(EVENTS_MAX),
        })
    }

    /// Registers a socket under `id`; it is unregistered by being closed.
    pub(crate) fn add(&self, socket: impl AsFd, id: u64, write: bool) -> Result<()> {
        let data = epoll::EventData::new_u64(id);
        Ok(epoll::add(&self.epoll, socket, data, interest(write))?)
    }

    /// Whether the socket's being writable is of interest.
    pub(crate) fn want_write(&self, socket: impl AsFd, id: u64, write: bool) -> Result<()> {
        let data = epoll::EventData::new_u64(id);
        Ok(epoll::modify(&self.epoll, socket, data, interest(write))?)
    }

    /// Fires under [`TIMER`] every `interval` from now on.
    pub(crate) fn every(&mut self, interval: Duration) -> Result<()> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
        let step = Timespec {
            tv_sec: i64::try_from(interval.as_secs())?,
            tv_nsec: interval.subsec_nanos().into(),
        };
        let setting = Itimerspec {
            it_interval: step,
            it_value: step,
        };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &setting)?;
        self.add(&timer, TIMER, false)?;
        self.timer = Some(timer);
        Ok(())
    }

    /// How often the timer fired since the last call.
    pub(crate) fn ticks(&self) -> u64 {
        let mut count = [0; 8];
        match self
            .timer
            .as_ref()
            .map(|timer| rustix::io::read(timer, &mut count))
        {
            Some(Ok(8)) => u64::from_ne_bytes(count),
            _ => 0,
        }
    }

    /// What became ready within `patience`; possibly nothing.
    pub(crate) fn wait(&mut self, patience: Duration) -> Result<&[Ready]> {
        let timeout = Timespec {
            tv_sec: i64::try_from(patience.as_secs())?,
            tv_nsec: patience.subsec_nanos().into(),
        };
        self.events.clear();
        match epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            Some(&timeout),
        ) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        self.ready.clear();
        let closed = epoll::EventFlags::HUP | epoll::EventFlags::ERR;
        for event in &self.events {
            let (flags, data) = (event.flags, event.data);
            self.ready.push(Ready {
                id: data.u64(),
                readable: flags.intersects(epoll::EventFlags::IN | closed),
                writable: flags.contains(epoll::EventFlags::OUT),
            });
        }
        Ok(&self.ready)
    }
}

fn interest(write: bool) -> epoll::EventFlags {
    match write {
        true => epoll::EventFlags::IN | epoll::EventFlags::OUT,
        false => epoll::EventFlags::IN,
    }
}
