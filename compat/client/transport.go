package main

import (
	"context"
	"strings"
	"time"

	containers "github.com/containerd/containerd/api/services/containers/v1"
	content "github.com/containerd/containerd/api/services/content/v1"
	events "github.com/containerd/containerd/api/services/events/v1"
	introspection "github.com/containerd/containerd/api/services/introspection/v1"
	versions "github.com/containerd/containerd/api/services/version/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// transport: what the server says before a service is reached, and the headers.
func (s *suite) transport() {
	nothing := func(method string) error {
		return s.conn.Invoke(s.ctx, method, &emptypb.Empty{}, &emptypb.Empty{})
	}
	const version = "containerd.services.version.v1.Version"
	s.refused("unknown service", nothing("/no.such.Service/Method"), codes.Unimplemented, "unknown service no.such.Service")
	s.refused("unknown method", nothing("/"+version+"/Nothing"), codes.Unimplemented,
		"unknown method Nothing for service "+version)
	s.refused("reflection", nothing("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"), codes.Unimplemented,
		"unknown service grpc.reflection.v1.ServerReflection")
	s.refused("events of shims", nothing("/containerd.services.events.ttrpc.v1.Events/Forward"), codes.Unimplemented,
		"unknown service containerd.services.events.ttrpc.v1.Events")
	// The field that Get reads as a string, sent as one that ends too early.
	broken := s.conn.Invoke(s.ctx, "/containerd.services.containers.v1.Containers/Get", []byte{0x0a, 0x7f, 'x'},
		&emptypb.Empty{}, grpc.ForceCodec(rawCodec{}))
	s.refusedWith("broken request", broken, codes.Internal, "grpc: error unmarshalling request")
	_, err := containers.NewContainersClient(s.conn).Get(s.ctx, &containers.GetContainerRequest{ID: strings.Repeat("x", 17<<20)})
	s.refused("too long a message", err, codes.ResourceExhausted,
		"grpc: received message larger than max (17825797 vs. 16777216)")
	s.deadline()
	info := content.NewContentClient(s.conn)
	_, err = info.Info(s.in(""), &content.InfoRequest{Digest: absent})
	s.refused("no namespace", err, codes.FailedPrecondition, "namespace is required: failed precondition")
	_, err = info.Info(s.in("a b"), &content.InfoRequest{Digest: absent})
	s.refused("bad namespace", err, codes.InvalidArgument, "namespace validation: identifier \"a b\" must match "+
		"^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$: invalid argument")
}

// deadline: a request that takes longer than the client waits; the answer is the server's or the client's own,
// whichever is first, and must be the same.
func (s *suite) deadline() {
	ctx, cancel := context.WithTimeout(s.ctx, 50*time.Millisecond)
	defer cancel()
	stream, err := events.NewEventsClient(s.conn).Subscribe(ctx, &events.SubscribeRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	// The client's own clock or the server's reset may come first; the words differ, the code does not.
	s.refusedWith("deadline", err, codes.DeadlineExceeded)
}

// rawCodec sends bytes as they are.
type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error)   { return v.([]byte), nil }
func (rawCodec) Unmarshal(_ []byte, _ any) error { return nil }
func (rawCodec) Name() string                    { return "proto" }

func (s *suite) health() {
	health := healthpb.NewHealthClient(s.conn)
	answer, err := health.Check(s.in(""), &healthpb.HealthCheckRequest{})
	s.ok("check", err)
	s.is("serving", answer.GetStatus(), healthpb.HealthCheckResponse_SERVING)
	_, err = health.Check(s.ctx, &healthpb.HealthCheckRequest{Service: "containerd.services.version.v1.Version"})
	s.refused("unknown", err, codes.NotFound, "unknown service")
	for service, want := range map[string]healthpb.HealthCheckResponse_ServingStatus{
		"": healthpb.HealthCheckResponse_SERVING, "x": healthpb.HealthCheckResponse_SERVICE_UNKNOWN,
	} {
		ctx, cancel := context.WithTimeout(s.ctx, single)
		watch, err := health.Watch(ctx, &healthpb.HealthCheckRequest{Service: service})
		if s.ok("watch", err) {
			first, err := watch.Recv()
			s.ok("watch's first", err)
			s.is("watched", first.GetStatus(), want)
		}
		cancel()
	}
	list, err := health.List(s.ctx, &healthpb.HealthListRequest{})
	s.ok("list", err)
	s.is("listed", len(list.GetStatuses()), 1)
	s.is("listed all", list.GetStatuses()[""].GetStatus(), healthpb.HealthCheckResponse_SERVING)
}

func (s *suite) version() {
	answer, err := versions.NewVersionClient(s.conn).Version(s.in(""), &emptypb.Empty{})
	s.ok("version", err)
	s.is("said", answer.GetVersion() != "", true)
	_, err = versions.NewVersionClient(s.conn).Version(s.in("a b"), &emptypb.Empty{})
	s.ok("namespace is not looked at", err)
}

func (s *suite) introspection() {
	api := introspection.NewIntrospectionClient(s.conn)
	all, err := api.Plugins(s.in(""), &introspection.PluginsRequest{})
	s.must("plugins", err)
	kinds := map[string]int{}
	for _, plugin := range all.Plugins {
		kinds[plugin.Type+" "+plugin.ID]++
	}
	for _, want := range []string{
		"io.containerd.snapshotter.v1 overlayfs", "io.containerd.snapshotter.v1 native",
		"io.containerd.content.v1 content", "io.containerd.gc.v1 scheduler", "io.containerd.grpc.v1 tasks",
		"io.containerd.runtime.v2 task", "io.containerd.differ.v1 walking", "io.containerd.grpc.v1 healthcheck",
		"io.containerd.metadata.v1 bolt", "io.containerd.grpc.v1 introspection",
	} {
		s.is("plugin "+want, kinds[want], 1)
	}
	for filter, least := range map[string]int{
		"type==io.containerd.snapshotter.v1":               2,
		"type==io.containerd.snapshotter.v1,id==overlayfs": 1,
		"id==no-such": 0,
		"type==io.containerd.snapshotter.v1,requires==none": 0,
	} {
		some, err := api.Plugins(s.ctx, &introspection.PluginsRequest{Filters: []string{filter}})
		s.ok("filter "+filter, err)
		s.is("filtered "+filter, len(some.GetPlugins()) >= least && (least > 0) == (len(some.GetPlugins()) > 0), true)
	}
	_, err = api.Plugins(s.ctx, &introspection.PluginsRequest{Filters: []string{"id="}})
	s.refused("bad filter", err, codes.InvalidArgument,
		"invalid argument: filters: parse error: [id >|=|< ]: unsupported operator \"=\": invalid argument")
	server, err := api.Server(s.in(""), &emptypb.Empty{})
	s.ok("server", err)
	s.is("uuid", len(server.GetUUID()), 36)
	s.is("pid", server.GetPid() > 0 && server.GetPidns() > 0, true)
	again, err := api.Server(s.ctx, &emptypb.Empty{})
	s.ok("server again", err)
	s.is("same uuid", again.GetUUID(), server.GetUUID())
	_, err = api.PluginInfo(s.ctx, &introspection.PluginInfoRequest{Type: "io.no", ID: "such"})
	s.refusedWith("info of none", err, codes.NotFound, "plugin io.no.such not found")
	_, err = api.PluginInfo(s.ctx, &introspection.PluginInfoRequest{Type: "io.containerd.content.v1", ID: "content", Options: pack(&emptypb.Empty{})})
	s.refusedWith("info not provided", err, codes.Unimplemented, "plugin does not provided extra information")
	_, err = api.PluginInfo(s.ctx, &introspection.PluginInfoRequest{Type: "io.no", ID: "such", Options: &anypb.Any{TypeUrl: "no.such"}})
	s.refusedWith("options unknown", err, codes.Unknown, "failed to unmarshal plugin info Options: type with url no.such: not found")
	_, err = api.PluginInfo(s.ctx, &introspection.PluginInfoRequest{Type: "io.containerd.runtime.v2", ID: "task", Options: pack(&emptypb.Empty{})})
	s.refusedWith("request unknown", err, codes.Unimplemented, "")
	_, err = api.PluginInfo(s.ctx, &introspection.PluginInfoRequest{Type: "io.containerd.runtime.v2", ID: "task", Options: pack(&types.RuntimeRequest{RuntimePath: "io.no.such.v1"})})
	s.refusedWith("no such runtime", err, codes.Unknown, "failed to resolve runtime path")
	found, err := api.PluginInfo(s.ctx, &introspection.PluginInfoRequest{Type: "io.containerd.runtime.v2", ID: "task", Options: pack(&types.RuntimeRequest{RuntimePath: "io.containerd.runc.v2"})})
	s.ok("info of a runtime", err)
	var runtime types.RuntimeInfo
	s.ok("runtime info", found.GetExtra().UnmarshalTo(&runtime))
	s.is("name of the runtime", runtime.GetName(), "io.containerd.runc.v2")
	s.is("features", runtime.GetFeatures().GetTypeUrl(), "types.containerd.io/opencontainers/runtime-spec/1/features/Features")
	plain, err := api.PluginInfo(s.ctx, &introspection.PluginInfoRequest{Type: "io.containerd.content.v1", ID: "content"})
	s.ok("info without options", err)
	s.is("the plugin", plain.GetPlugin().GetID(), "content")
}
