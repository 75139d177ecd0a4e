"""The machines: one file each, which exports `SOC`."""
