//! TFTP server and client: RFC 1350 with options, windows and netascii.
