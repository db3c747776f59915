# SPDX-License-Identifier: Apache-2.0
# Helpers of the system tests: hosts made of namespaces, WireGuard daemons in them, and traffic.
