"""What the gateway is told: environment variables, the arguments and the settings of a Serve config file."""
