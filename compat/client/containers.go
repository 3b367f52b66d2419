package main

import (
	"strings"

	api "github.com/containerd/containerd/api/services/containers/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

func (s *suite) containers() {
	boxes := api.NewContainersClient(s.conn)
	create := func(change func(*api.Container)) error {
		one := plainContainer("one")
		change(one)
		_, err := boxes.Create(s.ctx, &api.CreateContainerRequest{Container: one})
		return err
	}
	const prefix = "create container failed validation: "
	s.refusedWith("empty id", create(func(c *api.Container) { c.ID = "" }), codes.InvalidArgument, prefix+"container.ID: identifier must not be empty")
	s.refusedWith("bad id", create(func(c *api.Container) { c.ID = "a/b" }), codes.InvalidArgument, prefix+"container.ID: identifier \"a/b\" must match")
	s.refused("no runtime", create(func(c *api.Container) { c.Runtime = nil }), codes.InvalidArgument, prefix+"container.Runtime.Name must be set: invalid argument")
	s.refused("key without snapshotter", create(func(c *api.Container) { c.SnapshotKey = "k" }), codes.InvalidArgument,
		prefix+"container.Snapshotter must be set if container.SnapshotKey is set: invalid argument")
	s.refused("empty extension key", create(func(c *api.Container) { c.Extensions = map[string]*anypb.Any{"": {}} }), codes.InvalidArgument,
		prefix+"container.Extension keys must not be zero-length: invalid argument")
	s.refused("long label", create(func(c *api.Container) { c.Labels = labels{"k": strings.Repeat("v", 4096)} }), codes.InvalidArgument,
		prefix+"containers.Labels: label key and value length (4097 bytes) greater than maximum size (4096 bytes), key: k: invalid argument")
	s.refusedWith("empty label key", create(func(c *api.Container) { c.Labels = labels{"": "v"} }), codes.Unknown, "key required")

	full := func(c *api.Container) {
		c.Labels, c.Image = labels{"a": "1", "none": ""}, "img"
		c.Snapshotter, c.SnapshotKey, c.Sandbox = "overlayfs", "key", "box"
		c.Spec = &anypb.Any{TypeUrl: "x", Value: []byte("{}")}
		c.Extensions = map[string]*anypb.Any{"e": {TypeUrl: "t", Value: []byte("v")}}
	}
	one := plainContainer("one")
	full(one)
	made, err := boxes.Create(s.ctx, &api.CreateContainerRequest{Container: one})
	s.must("create", err)
	got := func() *api.Container {
		answer, err := boxes.Get(s.ctx, &api.GetContainerRequest{ID: "one"})
		if err != nil {
			s.fail("get", "%v", err)
			return &api.Container{}
		}
		return answer.Container
	}
	box := got()
	s.is("labels", printed(box.Labels), "map[a:1]")
	s.is("fields", []string{box.Image, box.Snapshotter, box.SnapshotKey, box.Sandbox, box.Runtime.Name, box.Spec.TypeUrl},
		"[img overlayfs key box io.containerd.runc.v2 x]")
	s.is("created = updated", box.CreatedAt.AsTime(), box.UpdatedAt.AsTime())
	s.is("create answers it", made.Container.CreatedAt.AsTime(), box.CreatedAt.AsTime())
	s.refused("twice", create(full), codes.AlreadyExists, "container \"one\": already exists")
	_, err = boxes.Get(s.ctx, &api.GetContainerRequest{ID: "no"})
	s.refused("get missing", err, codes.NotFound, "container \"no\" in namespace \""+s.ns+"\": not found")
	s.containerUpdates(boxes, got)
	s.containerLists(boxes)
	_, err = boxes.Delete(s.ctx, &api.DeleteContainerRequest{ID: "one"})
	s.ok("delete", err)
	_, err = boxes.Delete(s.ctx, &api.DeleteContainerRequest{ID: "one"})
	s.refused("delete missing", err, codes.NotFound, "container one: not found")
}

func (s *suite) containerUpdates(boxes api.ContainersClient, got func() *api.Container) {
	update := func(c *api.Container, paths ...string) (*api.Container, error) {
		request := &api.UpdateContainerRequest{Container: c}
		if len(paths) > 0 {
			request.UpdateMask = &fieldmaskpb.FieldMask{Paths: paths}
		}
		answer, err := boxes.Update(s.ctx, request)
		return answer.GetContainer(), err
	}
	_, err := update(&api.Container{})
	s.refused("update without id", err, codes.InvalidArgument, "Container.ID required")
	_, err = update(plainContainer("no"))
	s.refused("update missing", err, codes.NotFound, "container \"no\": not found")
	for _, path := range []string{"id", "runtime", "sandbox", "created_at", "Labels", "nonsense"} {
		_, err = update(&api.Container{ID: "one", Labels: labels{"z": "1"}}, "labels.z", path)
		s.refused("update "+path, err, codes.InvalidArgument, "cannot update \""+path+"\" field on \"one\": invalid argument")
	}
	_, err = update(&api.Container{ID: "one", Snapshotter: "native"}, "snapshotter")
	s.refusedWith("update snapshotter masked", err, codes.InvalidArgument, "snapshotter")
	s.is("refused leaves it", printed(got().Labels), "map[a:1]")
	_, err = update(&api.Container{ID: "one", Labels: labels{"b": "2", "c": "3"}, Image: "other"}, "labels.b", "image")
	s.ok("update masked", err)
	s.is("updated masked", printed(got().Labels)+got().Image, "map[a:1 b:2]other")
	_, err = update(&api.Container{ID: "one", Labels: labels{"c": "3"}}, "labels")
	s.ok("update labels", err)
	s.is("updated labels", printed(got().Labels), "map[c:3]")
	shown, err := update(&api.Container{ID: "one", Extensions: map[string]*anypb.Any{"f": {TypeUrl: "t2"}}}, "extensions")
	s.ok("update extensions", err)
	s.is("shows the request's", len(shown.GetExtensions()), 1)
	s.is("merged", len(got().Extensions), 2)
	_, err = update(&api.Container{ID: "one", Extensions: map[string]*anypb.Any{"e": {TypeUrl: "t3"}}}, "extensions.e")
	s.ok("update one extension", err)
	s.is("updated one extension", got().Extensions["e"].GetTypeUrl(), "t3")
	_, err = update(&api.Container{ID: "one"}, "snapshotkey")
	s.ok("clear snapshotkey", err)
	s.is("cleared", got().SnapshotKey, "")
	whole := plainContainer("one")
	_, err = update(whole)
	s.refused("update whole, another snapshotter", err, codes.InvalidArgument, "container.Snapshotter field is immutable: invalid argument")
	whole.Snapshotter, whole.Runtime.Name = "overlayfs", "other"
	_, err = update(whole)
	s.refused("update whole, another runtime", err, codes.InvalidArgument, "container.Runtime.Name field is immutable: invalid argument")
	whole.Runtime.Name, whole.Sandbox = "io.containerd.runc.v2", "elsewhere"
	whole.Labels = labels{"d": "4"}
	shown, err = update(whole)
	s.ok("update whole", err)
	s.is("sandbox stays", got().Sandbox, "box")
	s.is("spec is omitted", shown.GetSpec() == nil, true)
	s.is("spec stays", got().Spec.GetTypeUrl(), "x")
	s.is("labels replaced", printed(got().Labels)+got().Image, "map[d:4]")
	s.is("updated later", got().UpdatedAt.AsTime().After(got().CreatedAt.AsTime()), true)
	_, err = update(&api.Container{ID: "one", SnapshotKey: "k", Snapshotter: "overlayfs", Extensions: map[string]*anypb.Any{"": {}}}, "extensions.")
	s.refusedWith("update empty extension", err, codes.InvalidArgument, "update failed validation: container.Extension keys must not be zero-length")
}

func (s *suite) containerLists(boxes api.ContainersClient) {
	_, err := boxes.Create(s.ctx, &api.CreateContainerRequest{Container: plainContainer("another")})
	s.ok("create another", err)
	listed := func(filters ...string) string {
		answer, err := boxes.List(s.ctx, &api.ListContainersRequest{Filters: filters})
		if err != nil {
			return err.Error()
		}
		var ids []string
		for _, one := range answer.Containers {
			ids = append(ids, one.ID)
		}
		stream, err := boxes.ListStream(s.ctx, &api.ListContainersRequest{Filters: filters})
		s.ok("list stream", err)
		var streamed []string
		for {
			one, err := stream.Recv()
			if err != nil {
				s.ok("list stream's end", ended(err))
				break
			}
			streamed = append(streamed, one.Container.ID)
		}
		s.is("stream and list agree", strings.Join(streamed, " "), strings.Join(ids, " "))
		return strings.Join(ids, " ")
	}
	for _, c := range []struct{ filter, want string }{
		{"", "another one"}, {"id==one", "one"}, {"id!=one", "another"}, {"id~=^o", "one"},
		{"runtime.name==io.containerd.runc.v2,labels.d==4", "one"}, {"labels.d", "one"}, {"runtime", ""},
		{"snapshotter==overlayfs", ""}, {"labels.none~=/.*/", "another one"},
	} {
		s.is("filter "+c.filter, listed(c.filter), c.want)
	}
	s.is("filters are or-ed", listed("id==one", "id==another"), "another one")
	_, err = boxes.List(s.ctx, &api.ListContainersRequest{Filters: []string{"id=one"}})
	s.refused("bad filter", err, codes.InvalidArgument,
		"filters: parse error: [id >|=|< one]: unsupported operator \"=\": invalid argument: invalid argument")
	stream, err := boxes.ListStream(s.ctx, &api.ListContainersRequest{Filters: []string{"id=one"}})
	if err == nil {
		_, err = stream.Recv()
	}
	s.refusedWith("bad filter of a stream", err, codes.InvalidArgument, "unsupported operator \"=\"")
	_, err = boxes.Delete(s.ctx, &api.DeleteContainerRequest{ID: "another"})
	s.ok("delete another", err)
}
