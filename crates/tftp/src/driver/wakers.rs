//! Which ports have to be looked at: a server may have many, and a datagram comes to one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

/// Ports to look at, and who looks.
#[derive(Debug, Default)]
struct List {
    ports: Vec<usize>,
    task: Option<Waker>,
}

/// The ports that something may have come to.
#[derive(Debug)]
pub(super) struct Woken {
    list: Arc<Mutex<List>>,
    wakers: Vec<(Arc<PortWaker>, Waker)>,
    taken: Vec<usize>,
}

/// Wakes the server and says which port it was.
#[derive(Debug)]
struct PortWaker {
    port: usize,
    listed: AtomicBool,
    list: Arc<Mutex<List>>,
}

impl PortWaker {
    fn enlist(&self) -> Option<Waker> {
        if self.listed.swap(true, Ordering::AcqRel) {
            return None;
        }
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.ports.push(self.port);
        list.task.clone()
    }
}

impl Wake for PortWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(task) = self.enlist() {
            task.wake();
        }
    }
}

impl Woken {
    /// All `ports` are to be looked at.
    pub(super) fn new(ports: usize) -> Self {
        let list = Arc::new(Mutex::new(List::default()));
        let waker = |port| {
            let waker = Arc::new(PortWaker { port, listed: AtomicBool::new(false), list: Arc::clone(&list) });
            waker.enlist();
            (Arc::clone(&waker), waker.into())
        };
        let wakers = (0..ports).map(waker).collect();
        Self { list, wakers, taken: Vec::with_capacity(ports) }
    }

    /// Moves the ports to look at to where [`Self::next`] finds them. `cx` is woken when there are more.
    pub(super) fn take(&mut self, cx: &Context<'_>) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if !list.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            list.task = Some(cx.waker().clone());
        }
        std::mem::swap(&mut list.ports, &mut self.taken);
    }

    /// The next port to look at.
    pub(super) fn next(&mut self) -> Option<usize> {
        let port = self.taken.pop()?;
        let (shared, _) = self.wakers.get(port)?;
        shared.listed.store(false, Ordering::Release);
        Some(port)
    }

    /// Whom the port is to wake when something comes later.
    pub(super) fn waker(&self, port: usize) -> Option<&Waker> {
        self.wakers.get(port).map(|(_, waker)| waker)
    }

    /// Looks at the port again next time.
    pub(super) fn again(&self, port: usize) {
        if let Some((waker, _)) = self.wakers.get(port) {
            waker.enlist();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(woken: &mut Woken) -> Vec<usize> {
        woken.take(&Context::from_waker(Waker::noop()));
        let mut ports = Vec::new();
        while let Some(port) = woken.next() {
            ports.push(port);
        }
        ports.sort_unstable();
        ports
    }

    #[test]
    fn each_port_is_looked_at_once_for_each_time_it_wakes() {
        let mut woken = Woken::new(3);
        assert_eq!(ports(&mut woken), [0, 1, 2]);
        assert_eq!(ports(&mut woken), []);
        let waker = woken.wakers[1].1.clone();
        waker.wake_by_ref();
        waker.wake();
        woken.again(2);
        assert_eq!(ports(&mut woken), [1, 2]);
        assert_eq!(ports(&mut woken), []);
    }
}
