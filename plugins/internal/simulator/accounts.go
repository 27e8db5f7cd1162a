package simulator
