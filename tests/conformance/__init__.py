"""What the MQTT standards ask of a server, as tests that cite the rule they ask for."""
