"""Files from elsewhere: downloaded, checked, unpacked."""
