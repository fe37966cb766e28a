use std::sync::mpsc::channel;

use super::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

#[test]
fn answers_errors_and_panics_come_back() {
    let workers = Workers::start().unwrap();
    runtime().block_on(async {
        assert_eq!(workers.run(|| Ok(7)).await.unwrap(), 7);
        let refused = workers.run(|| Err::<(), _>(ApiError::invalid("no"))).await;
        assert_eq!(refused.unwrap_err().message, "no");
        for _ in 0..2 * THREADS {
            let failed = workers.run::<()>(|| std::panic::resume_unwind(Box::new(())));
            let failed = failed.await.unwrap_err();
            assert_eq!(failed.exception, "InternalFailureException");
        }
        assert_eq!(workers.run(|| Ok(8)).await.unwrap(), 8);
    });
}

#[test]
fn a_full_queue_refuses() {
    let workers = Workers::start().unwrap();
    let (started, starting) = channel();
    let (go, gate) = channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let blocked = || {
        let (gate, started) = (Arc::clone(&gate), started.clone());
        Box::new(move || {
            started.send(()).unwrap();
            let gate = gate.lock().unwrap_or_else(PoisonError::into_inner);
            assert!(
                gate.recv().is_err(),
                "nothing is ever sent, the gate only closes"
            );
        })
    };
    for _ in 0..THREADS {
        workers.jobs.send(blocked()).unwrap();
    }
    for _ in 0..THREADS {
        starting.recv().unwrap();
    }
    for _ in 0..WAITING_MAX {
        workers.jobs.try_send(Box::new(|| ())).unwrap();
    }
    let refused = runtime().block_on(workers.run(|| Ok(())));
    assert_eq!(
        refused.unwrap_err().exception,
        "ServiceUnavailableException"
    );
    drop(go);
}
