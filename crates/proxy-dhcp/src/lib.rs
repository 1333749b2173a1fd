//! Proxy DHCP per PXE 2.1: answers network-booting firmware beside a DHCP server that knows nothing of PXE.
