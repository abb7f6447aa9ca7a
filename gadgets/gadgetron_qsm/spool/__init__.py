"""The raw data of a scan on disk as they come: an ISMRMRD file that is whole at every moment."""
