use std::sync::Arc;

use super::*;

fn receipt(sequence: u64) -> Receipt {
    Receipt {
        sequence,
        topic: "certificate".into(),
        key: "c".into(),
        sessions_closed: 1,
        subscriptions_dropped: 0,
        elapsed_ms: 3,
        elapsed_us: 2500,
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_gets_the_receipt_once_there_is_one() {
    let receipts = Arc::new(Receipts::default());
    let waiting = {
        let receipts = Arc::clone(&receipts);
        tokio::spawn(async move { receipts.wait(2, Duration::from_secs(2)).await })
    };
    tokio::task::yield_now().await;
    receipts.put(receipt(1));
    assert!(!waiting.is_finished());
    receipts.put(receipt(2));
    assert_eq!(waiting.await.expect("the task ends"), Some(receipt(2)));
    assert_eq!(receipts.wait(1, Duration::ZERO).await, Some(receipt(1)));
    assert_eq!(receipts.wait(3, Duration::from_secs(2)).await, None);
}

#[tokio::test]
async fn old_receipts_make_room() {
    let receipts = Receipts::default();
    for sequence in 1..=10_001 {
        receipts.put(receipt(sequence));
    }
    assert_eq!(receipts.wait(1, Duration::ZERO).await, None);
    assert!(receipts.wait(2, Duration::ZERO).await.is_some());
}
