"""Making the network that hears visemes: sound with labels, its degradation, training, figures."""
