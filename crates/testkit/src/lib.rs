//! Test helpers: virtual clock, lossy link, pcap writer.
