package main

import (
	"fmt"
	"slices"
	"strings"
)

// The table's frame. Answers pass with the connection that they belong to. What a pod sends is judged on its way to
// another pod or out (forward) and to the node itself (input); what the node sends, probes for one, reaches every pod.
const frame = `
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state established,related accept
    jump egress
    jump ingress
  }
  chain input {
    type filter hook input priority filter; policy accept;
    ct state established,related accept
    jump egress
  }
`

// render writes the isolations as a script for nft that replaces the table as a whole.
func render(isolations []isolation) string {
	var script strings.Builder
	script.WriteString("table inet kindnetd\ndelete table inet kindnetd\ntable inet kindnetd {\n")
	jumps := map[direction][]string{}
	for _, pod := range isolations {
		// A peer is the other end: the source of what comes in, the destination of what goes out.
		peer := map[direction]string{ingress: "saddr", egress: "daddr"}[pod.direction]
		chain := fmt.Sprintf("%s-%s", pod.direction, strings.ReplaceAll(pod.address, ".", "-"))
		jumps[pod.direction] = append(jumps[pod.direction], fmt.Sprintf("%s : jump %s", pod.address, chain))
		fmt.Fprintf(&script, "  chain %s {\n", chain)
		for _, allowed := range pod.allowances {
			for _, line := range lines(allowed, peer) {
				fmt.Fprintf(&script, "    %sreturn\n", line)
			}
		}
		script.WriteString("    drop\n  }\n")
	}
	for _, way := range []direction{egress, ingress} {
		own := map[direction]string{egress: "saddr", ingress: "daddr"}[way]
		fmt.Fprintf(&script, "  chain %s {\n", way)
		if len(jumps[way]) > 0 {
			fmt.Fprintf(&script, "    ip %s vmap { %s }\n", own, strings.Join(jumps[way], ", "))
		}
		script.WriteString("  }\n")
	}
	script.WriteString(frame)
	script.WriteString("}\n")
	return script.String()
}

// lines are an allowance's matches, one for each port, each with a space behind; IPv6 blocks match nothing here.
func lines(allowed allowance, peer string) []string {
	match := ""
	if !allowed.any {
		isIPv6 := func(address string) bool { return strings.Contains(address, ":") }
		peers := slices.DeleteFunc(slices.Clone(allowed.peers), isIPv6)
		if len(peers) == 0 {
			return nil
		}
		match = fmt.Sprintf("ip %s { %s } ", peer, strings.Join(peers, ", "))
		if len(allowed.except) > 0 {
			match += fmt.Sprintf("ip %s != { %s } ", peer, strings.Join(allowed.except, ", "))
		}
	}
	if allowed.ports == nil {
		return []string{match}
	}
	var result []string
	for _, port := range allowed.ports {
		result = append(result, match+port+" ")
	}
	return result
}
