use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::AtomicU32;

use tokio::sync::{Notify, oneshot};

use super::*;

fn executor() -> (Executor, Arc<AtomicU32>) {
    let roused = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&roused);
    let executor = Executor::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    (executor, roused)
}

#[test]
fn a_task_runs_when_it_is_woken_and_not_before() {
    let (executor, _) = executor();
    let (steps, notify) = (Rc::new(Cell::new(0)), Rc::new(Notify::new()));
    let (seen, woken) = (Rc::clone(&steps), Rc::clone(&notify));
    executor.spawn(async move {
        for _ in 0..2 {
            seen.set(seen.get() + 1);
            woken.notified().await;
        }
        seen.set(100);
    });
    for (wakes, ran, expected) in [
        (false, true, 1),
        (false, false, 1),
        (true, true, 2),
        (true, true, 100),
        (true, false, 100),
    ] {
        if wakes {
            notify.notify_one();
        }
        assert_eq!(executor.run(), ran, "{expected}");
        assert_eq!(steps.get(), expected);
    }
}

#[test]
fn a_task_may_spawn_and_slots_are_used_again() {
    let (executor, _) = executor();
    let executor = Rc::new(executor);
    let ended = Rc::new(Cell::new(0));
    for _ in 0..100 {
        let (inner, count) = (Rc::clone(&executor), Rc::clone(&ended));
        executor.spawn(async move {
            let counted = Rc::clone(&count);
            inner.spawn(async move { counted.set(counted.get() + 1) });
            count.set(count.get() + 1);
        });
        while executor.run() {}
    }
    assert_eq!(ended.get(), 200);
    assert!(executor.slots.borrow().len() <= 2);
}

#[test]
fn another_thread_ends_the_sleep_once() {
    let (executor, roused) = executor();
    let (sender, receiver) = oneshot::channel();
    executor.spawn(async move {
        let _sent: Result<(), _> = receiver.await;
    });
    assert!(!executor.may_sleep(), "it was spawned and has not run");
    executor.run();
    assert!(executor.may_sleep());
    let other = std::thread::spawn(move || sender.send(()));
    other.join().unwrap().unwrap();
    assert_eq!(roused.load(Ordering::Relaxed), 1);
    executor.awake();
    assert!(!executor.may_sleep());
    assert!(executor.run());
    assert!(executor.may_sleep());
}
