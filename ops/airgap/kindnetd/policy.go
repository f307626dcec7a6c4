package main

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// cluster is what the rules depend on, at one moment.
type cluster struct {
	pods       []*corev1.Pod
	namespaces map[string]labels.Set
	policies   []*networkingv1.NetworkPolicy
}

// direction of the traffic, seen from the pod that a policy isolates.
type direction string

const (
	ingress direction = "ingress"
	egress  direction = "egress"
)

// isolation is one pod in one direction: nothing passes but what an allowance lets pass.
type isolation struct {
	direction  direction
	address    string
	allowances []allowance
}

// allowance lets traffic of these peers through these ports. Empty peers mean none, unless any is set.
type allowance struct {
	any    bool     // every peer
	peers  []string // addresses or CIDRs
	except []string // CIDRs within the peers
	ports  []string // as nftables matches them: "tcp dport 80"; nil means every port
}

// isolate says which pods the policies isolate, and what each still lets through.
func isolate(found cluster) []isolation {
	var isolations []isolation
	for _, pod := range found.pods {
		if !networked(pod) {
			continue
		}
		for _, way := range []direction{ingress, egress} {
			isolated := false
			var allowances []allowance
			for _, policy := range found.policies {
				if !selects(policy, pod, way) {
					continue
				}
				isolated = true
				allowances = append(allowances, found.allowances(policy, pod, way)...)
			}
			if isolated {
				isolations = append(isolations, isolation{way, pod.Status.PodIP, allowances})
			}
		}
	}
	slices.SortFunc(isolations, func(a, b isolation) int {
		return strings.Compare(string(a.direction)+a.address, string(b.direction)+b.address)
	})
	return isolations
}

// networked tells a pod with an address of its own, that still runs.
func networked(pod *corev1.Pod) bool {
	ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	return pod.Status.PodIP != "" && !pod.Spec.HostNetwork && !ended
}

func selects(policy *networkingv1.NetworkPolicy, pod *corev1.Pod, way direction) bool {
	kind := networkingv1.PolicyTypeIngress
	if way == egress {
		kind = networkingv1.PolicyTypeEgress
	}
	return policy.Namespace == pod.Namespace && slices.Contains(policy.Spec.PolicyTypes, kind) &&
		matches(&policy.Spec.PodSelector, pod.Labels)
}

// matches a selector that the API server has checked; nil selects nothing.
func matches(selector *metav1.LabelSelector, set labels.Set) bool {
	compiled, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && compiled.Matches(set)
}

func (found cluster) allowances(policy *networkingv1.NetworkPolicy, pod *corev1.Pod, way direction) []allowance {
	var result []allowance
	if way == ingress {
		for _, rule := range policy.Spec.Ingress {
			result = append(result, found.rule(policy.Namespace, pod, way, rule.From, rule.Ports)...)
		}
		return result
	}
	for _, rule := range policy.Spec.Egress {
		result = append(result, found.rule(policy.Namespace, pod, way, rule.To, rule.Ports)...)
	}
	return result
}

// rule gives an allowance for each block of addresses, and one for all pods. A port by name means what the receiving
// pod calls so: of egress, each pod gets an allowance of its own then.
func (found cluster) rule(
	namespace string, pod *corev1.Pod, way direction,
	peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort,
) []allowance {
	receiver := pod
	if way == egress {
		receiver = nil
	}
	open, anyOpen := matchPorts(ports, receiver)
	if len(peers) == 0 {
		if !anyOpen {
			return nil
		}
		return []allowance{{any: true, ports: open}}
	}
	var result []allowance
	var addresses []string
	for _, peer := range peers {
		if peer.IPBlock != nil {
			if anyOpen {
				result = append(result, allowance{peers: []string{peer.IPBlock.CIDR}, except: peer.IPBlock.Except, ports: open})
			}
			continue
		}
		for _, other := range found.pods {
			if !networked(other) || !found.isPeer(namespace, peer, other) {
				continue
			}
			if way == ingress || !named(ports) {
				addresses = append(addresses, other.Status.PodIP)
			} else if own, ok := matchPorts(ports, other); ok {
				result = append(result, allowance{peers: []string{other.Status.PodIP}, ports: own})
			}
		}
	}
	if len(addresses) > 0 && anyOpen {
		slices.Sort(addresses)
		result = append(result, allowance{peers: slices.Compact(addresses), ports: open})
	}
	return result
}

func (found cluster) isPeer(namespace string, peer networkingv1.NetworkPolicyPeer, pod *corev1.Pod) bool {
	if peer.NamespaceSelector == nil {
		if pod.Namespace != namespace {
			return false
		}
	} else if !matches(peer.NamespaceSelector, found.namespaces[pod.Namespace]) {
		return false
	}
	return peer.PodSelector == nil || matches(peer.PodSelector, pod.Labels)
}

func named(ports []networkingv1.NetworkPolicyPort) bool {
	return slices.ContainsFunc(ports, func(port networkingv1.NetworkPolicyPort) bool {
		return port.Port != nil && port.Port.Type == intstr.String
	})
}

// matchPorts gives nftables' matches (nil: every port), and false if no port is open at all: the receiver, nil if it is
// not known, has none of the names.
func matchPorts(ports []networkingv1.NetworkPolicyPort, receiver *corev1.Pod) ([]string, bool) {
	if len(ports) == 0 {
		return nil, true
	}
	var matched []string
	for _, port := range ports {
		protocol := corev1.ProtocolTCP
		if port.Protocol != nil {
			protocol = *port.Protocol
		}
		name := strings.ToLower(string(protocol))
		switch {
		case port.Port == nil:
			matched = append(matched, "meta l4proto "+name)
		case port.Port.Type == intstr.String:
			for _, number := range containerPorts(receiver, port.Port.StrVal, protocol) {
				matched = append(matched, fmt.Sprintf("%s dport %d", name, number))
			}
		case port.EndPort != nil:
			matched = append(matched, fmt.Sprintf("%s dport %d-%d", name, port.Port.IntVal, *port.EndPort))
		default:
			matched = append(matched, fmt.Sprintf("%s dport %d", name, port.Port.IntVal))
		}
	}
	return matched, len(matched) > 0
}

func containerPorts(pod *corev1.Pod, name string, protocol corev1.Protocol) []int32 {
	if pod == nil {
		return nil
	}
	var numbers []int32
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, port := range container.Ports {
			if port.Name == name && (port.Protocol == protocol || port.Protocol == "" && protocol == corev1.ProtocolTCP) {
				numbers = append(numbers, port.ContainerPort)
			}
		}
	}
	return numbers
}
