/* Publishes one message as the thing of this bundle.
 * Needs: apt install libmosquitto-dev; cc publish.c -lmosquitto -o publish && ./publish */
#include <mosquitto.h>
#include <stdio.h>
#include <string.h>

static const char *host = "{host}", *client_id = "{client_id}", *topic = "{topic}";
static const int port = {port};

static void on_connect(struct mosquitto *client, void *data, int code) {
    const char *text = "hello from c";
    (void)data;
    if (code != 0) {
        fprintf(stderr, "refused: %s\n", mosquitto_connack_string(code));
        mosquitto_disconnect(client);
        return;
    }
    mosquitto_publish(client, NULL, topic, (int)strlen(text), text, 1, false);
}

static void on_publish(struct mosquitto *client, void *data, int id) {
    (void)data;
    (void)id;
    printf("published to %s\n", topic);
    mosquitto_disconnect(client);
}

int main(void) {
    mosquitto_lib_init();
    struct mosquitto *client = mosquitto_new(client_id, true, NULL);
    mosquitto_tls_set(client, "ca.pem", NULL, "certificate.pem", "private.key", NULL);
    mosquitto_connect_callback_set(client, on_connect);
    mosquitto_publish_callback_set(client, on_publish);
    int code = mosquitto_connect(client, host, port, 60);
    if (code == MOSQ_ERR_SUCCESS) code = mosquitto_loop_forever(client, 10000, 1);
    if (code != MOSQ_ERR_SUCCESS) fprintf(stderr, "%s\n", mosquitto_strerror(code));
    mosquitto_destroy(client);
    mosquitto_lib_cleanup();
    return code == MOSQ_ERR_SUCCESS ? 0 : 1;
}
