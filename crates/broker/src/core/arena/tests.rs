use proptest::prelude::*;

use super::*;

#[test]
fn a_key_outlives_its_value_and_finds_nothing() {
    let mut arena = Arena::default();
    let first = arena.insert("first");
    assert_eq!(arena.remove(first), Some("first"));
    let second = arena.insert("second");
    assert_ne!(first, second);
    assert_eq!(arena.get(first), None);
    assert_eq!(arena.remove(first), None);
    assert_eq!(arena.get(second), Some(&"second"));
    assert_eq!(arena.len(), 1);
}

proptest! {
    #[test]
    fn agrees_with_a_list(steps in prop::collection::vec((any::<bool>(), 0_usize..8), 0..64)) {
        let mut arena = Arena::default();
        let mut list: Vec<(Key<usize>, usize)> = Vec::new();
        let mut gone: Vec<Key<usize>> = Vec::new();
        for (step, (insert, at)) in steps.into_iter().enumerate() {
            if insert || list.is_empty() {
                list.push((arena.insert(step), step));
            } else {
                let (key, value) = list.swap_remove(at % list.len());
                prop_assert_eq!(arena.remove(key), Some(value));
                gone.push(key);
            }
            prop_assert_eq!(arena.len(), list.len());
            let found: usize = arena.iter().map(|(_, value)| *value).sum();
            prop_assert_eq!(found, list.iter().map(|(_, value)| *value).sum::<usize>());
            for (key, value) in &list {
                prop_assert_eq!(arena.get(*key), Some(value));
            }
            prop_assert!(gone.iter().all(|key| arena.get(*key).is_none()));
        }
    }
}
