use super::*;

const ROUTES: [(&str, &str); 11] = [
    ("GET", "/things"),
    ("GET", "/things/{thingName}"),
    ("POST", "/things/{thingName}"),
    ("GET", "/things/{thingName}/shadow"),
    ("GET", "/authorizers/"),
    ("GET", "/certificate-providers/{name}"),
    ("GET", "/certificate-providers/"),
    ("PUT", "/attached-policies/{target}"),
    ("POST", "/topics/{topic+}"),
    ("PUT", "/things/special"),
    ("PUT", "/things/{thingName}"),
];

#[track_caller]
fn check(method: &str, path: &str, expected: &str) {
    let mut router = Router::default();
    for (target, (method, template)) in ROUTES.iter().enumerate() {
        assert!(router.add(method, template, target), "{template}");
    }
    let found = match router.find(method, path) {
        Match::Found { target, labels } => {
            let mut labels: Vec<_> = labels.into_iter().collect();
            labels.sort();
            let labels: Vec<String> = labels
                .into_iter()
                .map(|(k, v)| format!("{k}={v}"))
                .collect();
            format!("{} {}", ROUTES[target].1, labels.join(","))
        }
        other => format!("{other:?}"),
    };
    assert_eq!(found.trim_end(), expected, "{method} {path}");
}

// tests aws-iot [HT-3] [HT-4] [EP-43]
#[test]
fn paths_lead_to_operations() {
    check("GET", "/things", "/things");
    check("GET", "/things/", "/things");
    check(
        "GET",
        "/things/pump%3A7",
        "/things/{thingName} thingName=pump:7",
    );
    check("GET", "/things/a%2Fb", "/things/{thingName} thingName=a/b");
    check(
        "GET",
        "/things/a%252Fb",
        "/things/{thingName} thingName=a%2Fb",
    );
    check("GET", "/things/a+b", "/things/{thingName} thingName=a+b");
    check("GET", "/things/a/b", "Nothing");
    check(
        "GET",
        "/things/a/shadow",
        "/things/{thingName}/shadow thingName=a",
    );
    check("GET", "/things//shadow", "Nothing");
    check("GET", "/authorizers", "/authorizers/");
    check("GET", "/authorizers/", "/authorizers/");
    check("GET", "/certificate-providers/", "/certificate-providers/");
    check(
        "GET",
        "/certificate-providers/p",
        "/certificate-providers/{name} name=p",
    );
    check(
        "PUT",
        "/attached-policies/arn%3Aaws%3Aiot%3Aus-east-1%3A1%3Acert%2Fab",
        "/attached-policies/{target} target=arn:aws:iot:us-east-1:1:cert/ab",
    );
    check("POST", "/topics/a%2Fb", "/topics/{topic+} topic=a/b");
    check("POST", "/topics/a/b", "/topics/{topic+} topic=a/b");
    check("POST", "/topics/a/b/", "/topics/{topic+} topic=a/b/");
    check("POST", "/topics//a", "/topics/{topic+} topic=/a");
    check("POST", "/topics/", "Nothing");
    check("POST", "/topics", "Nothing");
    check("PUT", "/things/special", "/things/special");
    check(
        "PUT",
        "/things/other",
        "/things/{thingName} thingName=other",
    );
    check("DELETE", "/things/a", "OtherMethod");
    check("GET", "/things/%FF", "BadLabel(\"thingName\")");
    check("GET", "/things/%F", "BadLabel(\"thingName\")");
    check("GET", "things", "Nothing");
    check("GET", "", "Nothing");
    check("GET", "/", "Nothing");
}

#[test]
fn the_same_route_twice_is_refused() {
    let mut router = Router::default();
    assert!(router.add("GET", "/things/{a}", 0));
    assert!(!router.add("GET", "/things/{b}", 1));
    assert!(router.add("POST", "/things/{b}", 2));
}
