//! The sessions of this node: cancelling, terminating and notifying one from another.
//!
//! Lock order: `Sessions::table` before a handle's `inbox`; neither is held across an await.

use super::run::{CancelReason, CancelToken};
use futures::task::AtomicWaker;
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// Notifications a session may have waiting; PostgreSQL's queue holds 8 GB for all sessions.
const MAX_PENDING_NOTIFICATIONS: usize = 1 << 20;

/// One NOTIFY on its way to a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    pub pid: i32,
    pub channel: Arc<str>,
    pub payload: Arc<str>,
}

/// What others can reach of a session.
pub struct SessionHandle {
    pub pid: i32,
    /// The secret that a CancelRequest has to show.
    pub secret: [u8; 4],
    pub cancel: CancelToken,
    /// Wakes the statement that runs.
    running: AtomicWaker,
    /// Wakes the loop that waits for the client.
    idle: tokio::sync::Notify,
    terminated: AtomicBool,
    has_mail: AtomicBool,
    inbox: Mutex<VecDeque<Notification>>,
}

impl SessionHandle {
    fn new(pid: i32, secret: [u8; 4]) -> SessionHandle {
        SessionHandle {
            pid,
            secret,
            cancel: CancelToken::default(),
            running: AtomicWaker::new(),
            idle: tokio::sync::Notify::new(),
            terminated: AtomicBool::new(false),
            has_mail: AtomicBool::new(false),
            inbox: Mutex::default(),
        }
    }

    /// Stops the running statement; a later one is not touched.
    pub fn interrupt(&self, reason: CancelReason) {
        self.cancel.cancel(reason);
        self.running.wake();
    }

    /// Ends the session with 57P01, at once when it is idle or waiting.
    pub fn terminate(&self) {
        self.terminated.store(true, Ordering::Release);
        self.interrupt(CancelReason::Shutdown);
        self.idle.notify_one();
    }

    pub fn is_terminated(&self) -> bool {
        self.terminated.load(Ordering::Acquire)
    }

    /// Waits until there is something to push: a notification or the end.
    pub async fn pushed(&self) {
        self.idle.notified().await;
    }

    /// Whether notifications wait.
    pub fn has_mail(&self) -> bool {
        self.has_mail.load(Ordering::Acquire)
    }

    pub fn take_notifications(&self) -> VecDeque<Notification> {
        self.has_mail.store(false, Ordering::Release);
        std::mem::take(&mut *self.inbox.lock())
    }

    fn deliver(&self, notification: Notification) {
        let mut inbox = self.inbox.lock();
        if inbox.len() < MAX_PENDING_NOTIFICATIONS {
            inbox.push_back(notification);
        }
        self.has_mail.store(true, Ordering::Release);
        drop(inbox);
        self.idle.notify_one();
    }

    /// Runs `future` until it ends or the session is interrupted. Costs one atomic load while the
    /// future never waits.
    pub async fn or_interrupt<F: Future>(&self, future: F) -> Result<F::Output, crate::SqlError> {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| {
            if let std::task::Poll::Ready(output) = future.as_mut().poll(cx) {
                return std::task::Poll::Ready(Ok(output));
            }
            self.running.register(cx.waker());
            match self.cancel.check() {
                Ok(()) => std::task::Poll::Pending,
                Err(error) => std::task::Poll::Ready(Err(error)),
            }
        })
        .await
    }
}

#[derive(Default)]
struct Table {
    by_pid: FxHashMap<i32, Arc<SessionHandle>>,
    /// (database, channel) -> listeners.
    listeners: FxHashMap<(u32, Arc<str>), Vec<Arc<SessionHandle>>>,
    closing: bool,
}

/// All sessions of a node.
pub struct Sessions {
    table: RwLock<Table>,
    next_pid: AtomicI32,
    limit: usize,
}

/// Why a session may not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    TooMany,
    ShuttingDown,
}

impl Sessions {
    pub fn new(limit: usize) -> Arc<Sessions> {
        Arc::new(Sessions { table: RwLock::default(), next_pid: AtomicI32::new(1000), limit })
    }

    /// Enters a new session; the guard takes it out again.
    pub fn enter(self: &Arc<Sessions>) -> Result<SessionEntry, Refused> {
        let mut table = self.table.write();
        if table.closing {
            return Err(Refused::ShuttingDown);
        }
        if table.by_pid.len() >= self.limit {
            return Err(Refused::TooMany);
        }
        let pid = loop {
            let pid = self.next_pid.fetch_add(1, Ordering::Relaxed) & i32::MAX;
            if pid != 0 && !table.by_pid.contains_key(&pid) {
                break pid;
            }
        };
        let handle = Arc::new(SessionHandle::new(pid, rand::random()));
        table.by_pid.insert(pid, handle.clone());
        Ok(SessionEntry { sessions: self.clone(), handle })
    }

    pub fn len(&self) -> usize {
        self.table.read().by_pid.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn find(&self, pid: i32) -> Option<Arc<SessionHandle>> {
        self.table.read().by_pid.get(&pid).cloned()
    }

    /// A CancelRequest: nothing happens unless the secret fits.
    pub fn cancel(&self, pid: i32, secret: &[u8]) {
        if let Some(handle) = self.find(pid)
            && handle.secret == secret
        {
            handle.interrupt(CancelReason::UserRequest);
        }
    }

    /// Refuses new sessions from now on.
    pub fn close(&self) {
        self.table.write().closing = true;
    }

    pub fn terminate_all(&self) {
        let all: Vec<_> = self.table.read().by_pid.values().cloned().collect();
        all.iter().for_each(|handle| handle.terminate());
    }

    /// Delivers a committed NOTIFY.
    pub fn notify(&self, database: u32, notification: &Notification) {
        let key = (database, notification.channel.clone());
        let listeners = self.table.read().listeners.get(&key).cloned().unwrap_or_default();
        listeners.iter().for_each(|handle| handle.deliver(notification.clone()));
    }

    pub(super) fn listen(&self, database: u32, channel: &Arc<str>, handle: &Arc<SessionHandle>) {
        let mut table = self.table.write();
        let listeners = table.listeners.entry((database, channel.clone())).or_default();
        if !listeners.iter().any(|other| Arc::ptr_eq(other, handle)) {
            listeners.push(handle.clone());
        }
    }

    /// Stops listening to one channel, or to all.
    pub(super) fn unlisten(&self, channel: Option<&str>, handle: &Arc<SessionHandle>) {
        self.table.write().listeners.retain(|(_, name), listeners| {
            if channel.is_none_or(|channel| channel == &**name) {
                listeners.retain(|other| !Arc::ptr_eq(other, handle));
            }
            !listeners.is_empty()
        });
    }
}

/// A session's place in the list, until dropped.
pub struct SessionEntry {
    pub sessions: Arc<Sessions>,
    pub handle: Arc<SessionHandle>,
}

impl Drop for SessionEntry {
    fn drop(&mut self) {
        self.sessions.unlisten(None, &self.handle);
        self.sessions.table.write().by_pid.remove(&self.handle.pid);
    }
}
