"""What the machine offers: files written safely, seeds, threads, devices, and a measured execution plan."""
