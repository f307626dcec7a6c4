// Command kindnetd stands in for kind's own network daemon, which is published as an image only: it writes the CNI
// configuration of a one-node cluster, and enforces NetworkPolicies by nftables.
//
// It needs HOST_IP and POD_SUBNET as kind's manifest sets them, and the manifest's rights: list and watch of pods,
// namespaces and NetworkPolicies.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// Changes that come within this time are written together.
const settle = 50 * time.Millisecond

func main() {
	log.SetFlags(log.Ltime)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err) // the kubelet starts it again
	}
}

func run(ctx context.Context) error {
	if err := writeCNIConfiguration("/etc/cni/net.d/10-kindnet.conflist", os.Getenv("POD_SUBNET")); err != nil {
		return fmt.Errorf("CNI configuration: %w", err)
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		return fmt.Errorf("not in a cluster: %w", err)
	}
	// The Service's address works only once kube-proxy is up; the node's own is there from the start.
	config.Host = "https://" + os.Getenv("HOST_IP") + ":6443"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods()
	namespaces := factory.Core().V1().Namespaces()
	policies := factory.Networking().V1().NetworkPolicies()

	changed := make(chan struct{}, 1)
	changed <- struct{}{}
	notify := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { notify() },
		UpdateFunc: func(any, any) { notify() },
		DeleteFunc: func(any) { notify() },
	}
	for _, informer := range []cache.SharedIndexInformer{pods.Informer(), namespaces.Informer(), policies.Informer()} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("stopped before all of %v was read", kind)
		}
	}

	var written string
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		time.Sleep(settle)
		cluster, err := snapshot(pods.Lister().List, namespaces.Lister().List, policies.Lister().List)
		if err != nil {
			return err
		}
		rules := render(isolate(cluster))
		if rules == written {
			continue
		}
		if err := apply(ctx, rules); err != nil {
			return err
		}
		written = rules
		log.Printf("%d policies, %d pods: rules written", len(cluster.policies), len(cluster.pods))
	}
}

func snapshot(
	pods func(labels.Selector) ([]*corev1.Pod, error),
	namespaces func(labels.Selector) ([]*corev1.Namespace, error),
	policies func(labels.Selector) ([]*networkingv1.NetworkPolicy, error),
) (cluster, error) {
	var found cluster
	listed, err := namespaces(labels.Everything())
	if err != nil {
		return found, err
	}
	found.namespaces = map[string]labels.Set{}
	for _, namespace := range listed {
		found.namespaces[namespace.Name] = namespace.Labels
	}
	if found.pods, err = pods(labels.Everything()); err != nil {
		return found, err
	}
	found.policies, err = policies(labels.Everything())
	return found, err
}

// apply replaces the whole table in one transaction: no packet sees half of the rules.
func apply(ctx context.Context, rules string) error {
	command := exec.CommandContext(ctx, "nft", "-f", "-")
	command.Stdin = strings.NewReader(rules)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, output)
	}
	return nil
}
