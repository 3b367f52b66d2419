package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	events "github.com/containerd/containerd/api/events"
	containers "github.com/containerd/containerd/api/services/containers/v1"
	content "github.com/containerd/containerd/api/services/content/v1"
	api "github.com/containerd/containerd/api/services/events/v1"
	images "github.com/containerd/containerd/api/services/images/v1"
	namespaces "github.com/containerd/containerd/api/services/namespaces/v1"
	snapshots "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// listener collects the envelopes of one subscription.
type listener struct {
	cancel context.CancelFunc
	stream api.Events_SubscribeClient
	mutex  sync.Mutex
	more   chan struct{}
	heard  []*types.Envelope
	err    error
}

// listen subscribes and returns once a probe came through, so that nothing after it is missed.
func (s *suite) listen(filters ...string) *listener {
	ctx, cancel := context.WithCancel(s.bare())
	probe := fmt.Sprintf("/probe/%d", time.Now().UnixNano())
	filters = append(filters, "topic==\""+probe+"\"")
	stream, err := api.NewEventsClient(s.conn).Subscribe(ctx, &api.SubscribeRequest{Filters: filters})
	s.must("subscribe", err)
	l := &listener{cancel: cancel, stream: stream, more: make(chan struct{}, 1)}
	go l.run()
	for range 100 {
		_, err := api.NewEventsClient(s.conn).Publish(s.ctx, &api.PublishRequest{Topic: probe, Event: pack(&events.ContainerDelete{ID: "probe"})})
		if err != nil {
			s.must("publish a probe", err)
		}
		if l.until(100*time.Millisecond, func(all []*types.Envelope) bool { return len(all) > 0 }) {
			return l
		}
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	s.fail("probe", "no event came through: %v", l.err)
	panic("no events")
}

func (l *listener) run() {
	for {
		envelope, err := l.stream.Recv()
		l.mutex.Lock()
		if err != nil {
			l.err = err
			l.mutex.Unlock()
			return
		}
		l.heard = append(l.heard, envelope)
		l.mutex.Unlock()
		select {
		case l.more <- struct{}{}:
		default:
		}
	}
}

// until waits for the envelopes to fulfil something.
func (l *listener) until(patience time.Duration, done func([]*types.Envelope) bool) bool {
	late := time.After(patience)
	for {
		l.mutex.Lock()
		yes := done(l.heard)
		l.mutex.Unlock()
		if yes {
			return true
		}
		select {
		case <-l.more:
		case <-late:
			return false
		}
	}
}

// envelopes is everything heard so far.
func (l *listener) envelopes() []*types.Envelope {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return slices.Clone(l.heard)
}

// lines is every envelope but the probes as "topic {payload}".
func (l *listener) lines() []string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	var all []string
	for _, envelope := range l.heard {
		if !strings.HasPrefix(envelope.Topic, "/probe/") {
			all = append(all, envelope.Topic+" "+shown(envelope.Event))
		}
	}
	return all
}

// wait waits for so many envelopes besides the probes.
func (l *listener) wait(count int) []string {
	l.until(10*time.Second, func(all []*types.Envelope) bool {
		real := 0
		for _, envelope := range all {
			if !strings.HasPrefix(envelope.Topic, "/probe/") {
				real++
			}
		}
		return real >= count
	})
	return l.lines()
}

// shown is a payload as JSON without spaces.
func shown(payload *anypb.Any) string {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(payload.GetTypeUrl()))
	if err != nil {
		return payload.GetTypeUrl()
	}
	message := kind.New().Interface()
	if err := proto.Unmarshal(payload.Value, message); err != nil {
		return err.Error()
	}
	text, _ := protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
	return strings.ReplaceAll(strings.ReplaceAll(string(text), ", ", ","), ": ", ":")
}

func (s *suite) events() {
	bus := api.NewEventsClient(s.conn)
	publish := func(ctx context.Context, topic string) error {
		_, err := bus.Publish(ctx, &api.PublishRequest{Topic: topic, Event: pack(&events.ContainerDelete{ID: "x"})})
		return err
	}
	s.refused("publish without namespace", publish(s.in(""), "/x"), codes.FailedPrecondition,
		"failed publishing event: namespace is required: failed precondition")
	for topic, text := range map[string]string{
		"": "must not be empty", "x": "must start with '/'", "/": "must have at least one component", "/a b": "failed validation on component \"a b\": ",
	} {
		s.refusedWith("publish to "+topic, publish(s.ctx, topic), codes.InvalidArgument, "envelope topic \""+topic+"\": "+text)
		_, err := bus.Forward(s.ctx, &api.ForwardRequest{Envelope: &types.Envelope{Namespace: "x", Topic: topic}})
		s.refusedWith("forward to "+topic, err, codes.InvalidArgument, "envelope topic \""+topic+"\": "+text)
	}
	_, err := bus.Forward(s.in(""), &api.ForwardRequest{Envelope: &types.Envelope{Topic: "/x"}})
	s.refusedWith("forward without namespace", err, codes.InvalidArgument, "event envelope has invalid namespace: ")
	bad, err := bus.Subscribe(s.ctx, &api.SubscribeRequest{Filters: []string{"topic=x"}})
	if err == nil {
		_, err = bad.Recv()
	}
	s.refusedWith("bad filter", err, codes.Unknown,
		"subscription error: failed parsing subscription filters: filters: parse error: [topic >|=|< x]: unsupported operator \"=\"")

	heard := s.listen("namespace==" + s.ns + "-events")
	defer heard.cancel()
	chosen := s.listen("event.id==chosen,namespace==" + s.ns + "-events")
	defer chosen.cancel()
	want := s.makeEvents(s.ns + "-events")
	for i, line := range heard.wait(len(want)) {
		if i < len(want) {
			s.is(fmt.Sprintf("event %d", i), line, want[i])
		} else {
			s.fail("one event too many", "%s", line)
		}
	}
	s.is("all of them", len(heard.lines()), len(want))
	s.is("chosen", strings.Join(chosen.wait(1), " "), `/forwarded {"id":"chosen"}`)
	for _, envelope := range heard.envelopes() {
		if envelope.Topic == "/forwarded" {
			s.is("forwarded as it is", []any{envelope.Namespace, envelope.Timestamp.GetSeconds()}, "["+s.ns+"-events 42]")
		}
	}
}

// makeEvents does something of everything in this namespace and answers what should have been published.
func (s *suite) makeEvents(ns string) []string {
	var want []string
	step := func(err error, lines ...string) {
		s.ok("step", err)
		want = append(want, lines...)
	}
	ctx, spaces := s.in(ns), namespaces.NewNamespacesClient(s.conn)
	_, err := spaces.Create(s.in(""), &namespaces.CreateNamespaceRequest{Namespace: &namespaces.Namespace{Name: ns, Labels: labels{"a": ""}}})
	step(err, `/namespaces/create {"name":"`+ns+`","labels":{"a":""}}`)
	_, err = spaces.Update(s.in(""), &namespaces.UpdateNamespaceRequest{Namespace: &namespaces.Namespace{Name: ns, Labels: labels{"b": "2"}}})
	step(err, `/namespaces/update {"name":"`+ns+`","labels":{"b":"2"}}`)
	boxes := containers.NewContainersClient(s.conn)
	box := plainContainer("c")
	box.Image = "img"
	_, err = boxes.Create(ctx, &containers.CreateContainerRequest{Container: box})
	step(err, `/containers/create {"id":"c","image":"img","runtime":{"name":"io.containerd.runc.v2"}}`)
	box.Labels, box.SnapshotKey = labels{"l": "1"}, ""
	_, err = boxes.Update(ctx, &containers.UpdateContainerRequest{Container: box})
	step(err, `/containers/update {"id":"c","image":"img","labels":{"l":"1"}}`)
	_, err = boxes.Delete(ctx, &containers.DeleteContainerRequest{ID: "c"})
	step(err, `/containers/delete {"id":"c"}`)
	digest := s.blob(ctx, []byte("evented"), labels{"containerd.io/gc.root": "x"})
	step(nil, `/content/create {"digest":"`+digest+`","size":"7"}`)
	_, err = content.NewContentClient(s.conn).Delete(ctx, &content.DeleteContentRequest{Digest: digest})
	step(err, `/content/delete {"digest":"`+digest+`"}`)
	pictures := images.NewImagesClient(s.conn)
	image := plainImage("i", absent)
	image.Labels = labels{"k": "v"}
	_, err = pictures.Create(ctx, &images.CreateImageRequest{Image: image})
	step(err, `/images/create {"name":"i","labels":{"k":"v"}}`)
	_, err = pictures.Update(ctx, &images.UpdateImageRequest{Image: image})
	step(err, `/images/update {"name":"i","labels":{"k":"v"}}`)
	_, err = pictures.Delete(ctx, &images.DeleteImageRequest{Name: "i"})
	step(err, `/images/delete {"name":"i"}`)
	snaps := snapshots.NewSnapshotsClient(s.conn)
	root := labels{"containerd.io/gc.root": "x"}
	_, err = snaps.Prepare(ctx, &snapshots.PrepareSnapshotRequest{Snapshotter: "overlayfs", Key: "k", Labels: root})
	step(err, `/snapshot/prepare {"key":"k","snapshotter":"overlayfs"}`)
	_, err = snaps.Commit(ctx, &snapshots.CommitSnapshotRequest{Snapshotter: "overlayfs", Key: "k", Name: "n", Labels: root})
	step(err, `/snapshot/commit {"key":"k","name":"n","snapshotter":"overlayfs"}`)
	_, err = snaps.View(ctx, &snapshots.ViewSnapshotRequest{Snapshotter: "overlayfs", Key: "v", Parent: "n", Labels: root})
	step(err)
	_, err = snaps.Remove(ctx, &snapshots.RemoveSnapshotRequest{Snapshotter: "overlayfs", Key: "v"})
	step(err, `/snapshot/remove {"key":"v","snapshotter":"overlayfs"}`)
	_, err = snaps.Remove(ctx, &snapshots.RemoveSnapshotRequest{Snapshotter: "overlayfs", Key: "n"})
	step(err, `/snapshot/remove {"key":"n","snapshotter":"overlayfs"}`)
	_, err = api.NewEventsClient(s.conn).Forward(s.in(""), &api.ForwardRequest{Envelope: &types.Envelope{
		Namespace: ns, Topic: "/forwarded", Timestamp: &timestamppb.Timestamp{Seconds: 42}, Event: pack(&events.ContainerDelete{ID: "chosen"}),
	}})
	step(err, `/forwarded {"id":"chosen"}`)
	_, err = api.NewEventsClient(s.conn).Publish(ctx, &api.PublishRequest{Topic: "/published/x", Event: &anypb.Any{TypeUrl: "no.such", Value: []byte{0xff}}})
	step(err, `/published/x no.such`)
	_, err = spaces.Delete(s.in(""), &namespaces.DeleteNamespaceRequest{Name: ns})
	step(err, `/namespaces/delete {"name":"`+ns+`"}`)
	return want
}
