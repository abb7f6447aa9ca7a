"""MRD: messages on a socket, raw files, images; as a peer and as a server of Gadgetron's kind."""
