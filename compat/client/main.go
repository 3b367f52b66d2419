// Command client asks a daemon every method of containerd's API and compares the answers with what containerd 2.3
// answers. One line for each check: "ok NAME" or "FAIL NAME: …". Exit code 1 when one failed.
//
// Usage: client [-ours] [-only service] [-namespace name] <socket> <image archive> <image name>
//
// With -ours the few answers that gantry gives otherwise on purpose (docs/differences.md) are expected of it, and the
// questions that end a containerd are asked.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	client "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// No call may take longer than single, and the checks of one service together no longer than whole.
const (
	single = 20 * time.Second
	whole  = 150 * time.Second
)

// suite is the connection, the namespace of this run and what was counted.
type suite struct {
	ctx     context.Context
	conn    *grpc.ClientConn
	client  *client.Client
	ns      string
	archive string
	image   string
	ours    bool
	service string
	passed  int
	failed  int
}

func main() {
	ours := flag.Bool("ours", false, "expect gantry's deliberate differences")
	only := flag.String("only", "", "run the checks of one service")
	ns := flag.String("namespace", fmt.Sprintf("client-%d", os.Getpid()), "work in this namespace and ones named after it")
	flag.Parse()
	if flag.NArg() != 3 {
		fmt.Fprintln(os.Stderr, "usage: client [-ours] [-only service] [-namespace name] <socket> <image archive> <image name>")
		os.Exit(2)
	}
	s, err := open(flag.Arg(0), *ns)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	s.archive, s.image, s.ours = flag.Arg(1), flag.Arg(2), *ours
	s.run(*only)
	fmt.Printf("%d passed, %d failed\n", s.passed, s.failed)
	if s.failed > 0 {
		os.Exit(1)
	}
}

func open(socket, ns string) (*suite, error) {
	deadline := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
		invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		ctx, cancel := context.WithTimeout(ctx, single)
		defer cancel()
		return invoker(ctx, method, req, reply, cc, opts...)
	}
	conn, err := grpc.NewClient("unix://"+socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(deadline),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(32<<20), grpc.MaxCallSendMsgSize(32<<20)))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", socket, err)
	}
	high, err := client.NewWithConn(conn)
	if err != nil {
		return nil, fmt.Errorf("client on %s: %w", socket, err)
	}
	return &suite{conn: conn, client: high, ns: ns}, nil
}

func (s *suite) run(only string) {
	services := []struct {
		name string
		run  func()
	}{
		{"transport", s.transport},
		{"health", s.health},
		{"version", s.version},
		{"introspection", s.introspection},
		{"namespaces", s.namespaces},
		{"filters", s.filters},
		{"containers", s.containers},
		{"images", s.images},
		{"content", s.content},
		{"write", s.write},
		{"overlayfs", func() { s.snapshots("overlayfs") }},
		{"native", func() { s.snapshots("native") }},
		{"leases", s.leases},
		{"collection", s.collection},
		{"events", s.events},
		{"sandboxes", s.sandboxes},
		{"streaming", s.streaming},
		{"transfer", s.transfer},
		{"diff", s.diff},
		{"tasks", s.tasks},
		{"client", s.wholeClient},
		{"missing", s.missing},
		{"unbuilt", s.unbuilt},
		{"leftovers", s.leftovers},
	}
	for _, service := range services {
		if only != "" && only != service.name && service.name != "leftovers" {
			continue
		}
		s.service = service.name
		s.guarded(service.run)
	}
}

// guarded gives a service's checks their time, and turns a panic into a failed check, so that the other services are
// still asked.
func (s *suite) guarded(run func()) {
	ctx, cancel := context.WithTimeout(context.Background(), whole)
	defer cancel()
	s.ctx = namespaces.WithNamespace(ctx, s.ns)
	defer func() {
		if cause := recover(); cause != nil {
			s.fail("panic", "%v\n%s", cause, debug.Stack())
		}
	}()
	run()
}

func (s *suite) fail(name, format string, args ...any) bool {
	s.failed++
	fmt.Printf("FAIL %s/%s: %s\n", s.service, name, fmt.Sprintf(format, args...))
	return false
}

func (s *suite) pass(name string) bool {
	s.passed++
	fmt.Printf("ok %s/%s\n", s.service, name)
	return true
}

// ok insists on success.
func (s *suite) ok(name string, err error) bool {
	if err != nil {
		return s.fail(name, "%v", err)
	}
	return s.pass(name)
}

// must ends this service's checks when a step that the rest needs failed.
func (s *suite) must(name string, err error) {
	if !s.ok(name, err) {
		panic(name + ": the rest needs it")
	}
}

// is compares two values as they are printed.
func (s *suite) is(name string, got, want any) bool {
	g, w := fmt.Sprint(got), fmt.Sprint(want)
	if g != w {
		return s.fail(name, "got %s, want %s", g, w)
	}
	return s.pass(name)
}

// refused insists on this code and exactly this text.
func (s *suite) refused(name string, err error, code codes.Code, text string) bool {
	if status.Code(err) != code || status.Convert(err).Message() != text {
		return s.fail(name, "got %s %q, want %s %q", status.Code(err), status.Convert(err).Message(), code, text)
	}
	return s.pass(name)
}

// refusedWith insists on this code and on a text that holds these words.
func (s *suite) refusedWith(name string, err error, code codes.Code, words ...string) bool {
	text := status.Convert(err).Message()
	for _, word := range words {
		if !strings.Contains(text, word) {
			return s.fail(name, "got %s %q, want %s with %q", status.Code(err), text, code, word)
		}
	}
	if status.Code(err) != code {
		return s.fail(name, "got %s %q, want %s", status.Code(err), text, code)
	}
	return s.pass(name)
}

// in is the context of another namespace; "" carries none.
func (s *suite) in(ns string) context.Context {
	if ns == "" {
		return context.WithoutCancel(s.bare())
	}
	return namespaces.WithNamespace(s.bare(), ns)
}

// bare is a context without namespace.
func (s *suite) bare() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), whole)
	context.AfterFunc(s.ctx, cancel)
	return ctx
}
