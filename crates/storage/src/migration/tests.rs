use super::{Migration, MigrationError, Plan, checksum_of};

const fn step(capability: &'static str, version: u32) -> Migration {
    let sql = "CREATE TABLE a (b TEXT)";
    Migration {
        capability,
        version,
        sql,
    }
}

#[test]
fn steps_are_numbered_from_one_without_gaps() {
    let check = |versions: &[u32], expected: Option<u32>| {
        let steps: Vec<_> = versions
            .iter()
            .map(|version| step("things", *version))
            .collect();
        let expected = expected.map(|missing| MigrationError::Numbering {
            capability: "things",
            missing,
        });
        assert_eq!(Plan::new(&steps).err(), expected, "{versions:?}");
    };
    check(&[], None);
    check(&[1], None);
    check(&[2, 1, 3], None);
    check(&[0], Some(1));
    check(&[2], Some(1));
    check(&[1, 3], Some(2));
    check(&[1, 1], Some(2));
}

#[test]
fn what_is_left_to_do_follows_from_what_is_done() {
    let plan = Plan::new(&[step("b", 1), step("a", 2), step("a", 1)]).unwrap();
    let own = checksum_of(super::OWN[0].sql);
    let sum = checksum_of(step("a", 1).sql);
    let check = |done: &[(&str, i64, &str)], expected: Result<&[(&str, u32)], MigrationError>| {
        let done: Vec<_> = done
            .iter()
            .map(|(capability, version, sum)| {
                ((*capability).to_owned(), *version, (*sum).to_owned())
            })
            .collect();
        let left = plan.left_to_do(&done);
        let left = left.map(|left| {
            left.iter()
                .map(|step| (step.capability, step.version))
                .collect::<Vec<_>>()
        });
        assert_eq!(left, expected.map(<[_]>::to_vec), "{done:?}");
    };
    check(&[], Ok(&[("storage", 1), ("a", 1), ("a", 2), ("b", 1)]));
    check(
        &[("storage", 1, &own), ("a", 1, &sum)],
        Ok(&[("a", 2), ("b", 1)]),
    );
    let newer = |capability: &str, found, known| {
        let capability = capability.to_owned();
        Err(MigrationError::Newer {
            capability,
            found,
            known,
        })
    };
    check(&[("a", 3, &sum)], newer("a", 3, 2));
    check(&[("c", 1, &sum)], newer("c", 1, 0));
    let capability = "a".to_owned();
    check(
        &[("a", 1, "else")],
        Err(MigrationError::Changed {
            capability,
            version: 1,
        }),
    );
}
