"""SIP trunks: where calls come from and go to."""
