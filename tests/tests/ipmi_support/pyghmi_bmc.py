"""A BMC made of pyghmi's server class: pyghmi_bmc.py PORT. User admin, password "password"."""
import sys

from pyghmi.ipmi import bmc


class Bmc(bmc.Bmc):
    power = 'off'
    boot = 'default'

    def get_power_state(self):
        return self.power

    def power_on(self):
        self.power = 'on'
        return 0

    def power_off(self):
        self.power = 'off'
        return 0

    def power_reset(self):
        return 0

    def get_boot_device(self):
        return self.boot

    def set_boot_device(self, device):
        self.boot = device


Bmc({'admin': 'password'}, port=int(sys.argv[1]), address='127.0.0.1').listen()
