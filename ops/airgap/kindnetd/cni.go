package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
)

// One node needs no routes to others: each pod gets a point-to-point link, and an address of the node's range.
const configuration = `{
  "cniVersion": "0.4.0",
  "name": "kindnet",
  "plugins": [
    {
      "type": "ptp", "ipMasq": true, "mtu": 1500,
      "ipam": {
        "type": "host-local", "dataDir": "/run/cni-ipam-state",
        "routes": [{"dst": "0.0.0.0/0"}], "ranges": [[{"subnet": "%s"}]]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`

// writeCNIConfiguration lets the container runtime find its network: the first /24 of the pods' subnet, which is the
// range that the controller manager gives to the first node. The file appears whole or not at all.
func writeCNIConfiguration(path, podSubnet string) error {
	subnet, err := netip.ParsePrefix(podSubnet)
	if err != nil {
		return fmt.Errorf("POD_SUBNET %q: %w", podSubnet, err)
	}
	content := fmt.Sprintf(configuration, netip.PrefixFrom(subnet.Addr(), 24))
	hidden := filepath.Join(filepath.Dir(path), ".kindnet")
	if err := os.WriteFile(hidden, []byte(content), 0o600); err != nil {
		return err
	}
	return os.Rename(hidden, path)
}
