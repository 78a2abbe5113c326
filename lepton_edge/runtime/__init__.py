"""Running compiled designs: on simulations here, on boards later. Needs numpy alone."""
