use serde_json::json;

use crate::world::each_standard;

// tests aws-iot [EP-20] [EP-21]
#[test]
fn names_the_configured_hosts() {
    each_standard(|world| {
        for (kind, host) in [
            ("iot:Data", "data.example"),
            ("iot:Data-ATS", "data.example"),
            ("iot:Data-Beta", "data.example"),
            ("iot:CredentialProvider", "credentials.example"),
            ("iot:Jobs", "jobs.example"),
        ] {
            let found = world.ok("DescribeEndpoint", json!({"endpointType": kind}));
            assert_eq!(found, json!({"endpointAddress": host}));
        }
        let found = world.ok("DescribeEndpoint", json!({}));
        assert_eq!(found, json!({"endpointAddress": "data.example"}));
        for kind in ["iot:data", "", "iot:DeviceAdvisor"] {
            let input = json!({"endpointType": kind});
            world.fails("DescribeEndpoint", input, "InvalidRequestException");
        }
    });
}
