use super::*;

#[test]
fn names_are_those_of_settings_and_each_has_its_place() {
    let settings = serde_json::to_value(crate::BrokerConfig::default()).expect("plain data");
    for (place, budget) in Budget::ALL.into_iter().enumerate() {
        assert_eq!(budget as usize, place);
        assert!(settings.get(budget.name()).is_some(), "{}", budget.name());
    }
}

#[test]
fn each_time_is_counted_and_told_once_with_the_first_who() {
    let mut reached = Reached::default();
    for who in ["one", "two", "three"] {
        reached.count(Budget::Sessions, &who);
    }
    reached.count(Budget::Retained, &"four");
    assert!(reached.has_untold());
    let times = |reached: &Reached, budget: Budget| {
        let of = &reached.of[budget as usize];
        (of.all, of.untold, of.who.clone())
    };
    assert_eq!(times(&reached, Budget::Sessions), (3, 3, "one".to_owned()));
    assert_eq!(times(&reached, Budget::Retained), (1, 1, "four".to_owned()));
    reached.tell();
    assert!(!reached.has_untold());
    reached.count(Budget::Sessions, &"five");
    assert_eq!(times(&reached, Budget::Sessions), (4, 1, "five".to_owned()));
    assert_eq!(reached.times(Budget::Sessions), 4);
    assert_eq!(reached.times(Budget::Connections), 0);
}
