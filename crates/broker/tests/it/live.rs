//! What an operator sees of live things, asked through the gateway.

use rustls::HandshakeKind;
use serde_json::{Value, json};

use crate::client::{Client, V5, clean};
use crate::world::{ALL, in_world};

/// The one member of a list.
#[track_caller]
fn only(list: &Value) -> &Value {
    let items = list.as_array().unwrap();
    assert_eq!(items.len(), 1, "{list}");
    &items[0]
}

#[test]
fn a_resumed_session_tells_the_key_exchange_it_made() {
    in_world(async |world| {
        let device = world.device(ALL);
        let config = world.tls(Some(&device), &[]);
        for (client_id, kind, resumed) in [
            ("first", HandshakeKind::Full, false),
            ("again", HandshakeKind::Resumed, true),
        ] {
            let connect = clean(V5, client_id);
            let joined = Client::connect_with(world.addresses.mqtt, config.clone(), connect).await;
            let client = joined.0.unwrap();
            assert_eq!(client.handshake_kind(), Some(kind));
            let input = json!({"principal": device.id.as_str()});
            let found = world.call("palisade", "ListConnections", input).await;
            let found = found.unwrap();
            let found = only(&found["connections"]);
            assert_eq!(found["clientId"], client_id);
            assert_eq!(found["tlsVersion"], "TLSv1_3");
            assert_eq!(found["tlsGroup"], "X25519MLKEM768");
            assert_eq!(found["tlsResumed"], resumed);
            let input = json!({"clientId": client_id});
            world
                .call("iot-data", "DeleteConnection", input)
                .await
                .unwrap();
        }
    });
}
