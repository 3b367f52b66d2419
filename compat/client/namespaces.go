package main

import (
	"strings"

	containers "github.com/containerd/containerd/api/services/containers/v1"
	content "github.com/containerd/containerd/api/services/content/v1"
	images "github.com/containerd/containerd/api/services/images/v1"
	leases "github.com/containerd/containerd/api/services/leases/v1"
	api "github.com/containerd/containerd/api/services/namespaces/v1"
	snapshots "github.com/containerd/containerd/api/services/snapshots/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

type labels = map[string]string

func (s *suite) namespaces() {
	spaces := api.NewNamespacesClient(s.conn)
	name := s.ns + "-space"
	create := func(name string, l labels) error {
		_, err := spaces.Create(s.in(""), &api.CreateNamespaceRequest{Namespace: &api.Namespace{Name: name, Labels: l}})
		return err
	}
	update := func(name string, l labels, paths ...string) error {
		request := &api.UpdateNamespaceRequest{Namespace: &api.Namespace{Name: name, Labels: l}}
		if len(paths) > 0 {
			request.UpdateMask = &fieldmaskpb.FieldMask{Paths: paths}
		}
		answer, err := spaces.Update(s.in(""), request)
		if err == nil && answer.Namespace != nil {
			s.fail("update's answer is empty", "%v", answer)
		}
		return err
	}
	remove := func(name string) error {
		_, err := spaces.Delete(s.in(""), &api.DeleteNamespaceRequest{Name: name})
		return err
	}
	get := func(name string) string {
		answer, err := spaces.Get(s.in(""), &api.GetNamespaceRequest{Name: name})
		if err != nil {
			return err.Error()
		}
		return answer.Namespace.Name + " " + printed(answer.Namespace.Labels)
	}
	s.is("get unknown", get(name), name+" map[]")
	s.is("get malformed", get("a b"), "a b map[]")
	s.is("get empty", get(""), " map[]")
	answer, err := spaces.Create(s.in(""), &api.CreateNamespaceRequest{Namespace: &api.Namespace{Name: name, Labels: labels{"a": "1", "b": ""}}})
	s.ok("create", err)
	s.is("create echoes", printed(answer.GetNamespace().GetLabels()), "map[a:1 b:]")
	s.is("empty label dropped", get(name), name+" map[a:1]")
	s.refused("create twice", create(name, nil), codes.AlreadyExists, "namespace \""+name+"\": already exists")
	s.refused("create malformed", create("a b", nil), codes.InvalidArgument,
		"identifier \"a b\" must match ^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$: invalid argument")
	s.refusedWith("create empty", create("", nil), codes.InvalidArgument, "identifier must not be empty")
	long := strings.Repeat("x", 77)
	s.refusedWith("create too long", create(long, nil), codes.InvalidArgument, "greater than maximum length (76 characters)")
	s.refusedWith("create with too long a label", create(name+"2", labels{"k": strings.Repeat("v", 4096)}), codes.InvalidArgument,
		"namespace.Labels: label key and value length (4097 bytes) greater than maximum size (4096 bytes), key: k: invalid argument")
	s.ok("update masked", update(name, labels{"c": "3", "d": "4"}, "labels.c"))
	s.is("updated masked", get(name), name+" map[a:1 c:3]")
	s.ok("update removes", update(name, labels{"a": ""}, "labels.a"))
	s.is("updated removed", get(name), name+" map[c:3]")
	s.refusedWith("update labels", update(name, nil, "labels"), codes.InvalidArgument, "cannot update \"labels\" field")
	s.refusedWith("update name", update(name, labels{"z": "1"}, "labels.z", "name"), codes.InvalidArgument, "cannot update \"name\" field")
	s.is("refused leaves as it was", get(name), name+" map[c:3]")
	s.ok("update whole", update(name, labels{"e": "5"}))
	s.is("updated whole", get(name), name+" map[e:5]")
	s.refusedWith("update empty name", update("", labels{"e": "5"}), codes.Unknown, "bucket name required")
	list, err := spaces.List(s.in(""), &api.ListNamespacesRequest{Filter: "name==nothing"})
	s.ok("list", err)
	found := false
	for i, one := range list.GetNamespaces() {
		found = found || one.Name == name
		if i > 0 && list.Namespaces[i-1].Name >= one.Name {
			s.fail("list in order", "%v", list)
		}
	}
	s.is("listed, the filter ignored", found, true)
	s.refused("delete missing", remove(name+"3"), codes.NotFound, "namespace \""+name+"3\": not found")
	s.refusedWith("delete malformed", remove("a b"), codes.NotFound, "not found")
	s.occupied(name, remove)
}

// occupied fills a namespace, is refused its deletion, and empties it.
func (s *suite) occupied(name string, remove func(string) error) {
	ctx := s.in(name)
	digest := s.blob(ctx, []byte("in "+name), labels{"containerd.io/gc.root": "x"})
	_, err := containers.NewContainersClient(s.conn).Create(ctx, &containers.CreateContainerRequest{Container: plainContainer("c")})
	s.ok("container", err)
	_, err = images.NewImagesClient(s.conn).Create(ctx, &images.CreateImageRequest{Image: plainImage("i", digest)})
	s.ok("image", err)
	snapshotter := snapshots.NewSnapshotsClient(s.conn)
	for _, kind := range []string{"overlayfs", "native"} {
		_, err = snapshotter.Prepare(ctx, &snapshots.PrepareSnapshotRequest{Snapshotter: kind, Key: "k", Labels: labels{"containerd.io/gc.root": "x"}})
		s.ok("snapshot", err)
	}
	_, err = leases.NewLeasesClient(s.conn).Create(ctx, &leases.CreateRequest{ID: "l"})
	s.ok("lease", err)
	s.refused("delete occupied", remove(name), codes.FailedPrecondition, "namespace \""+name+"\" must be empty, but it still has "+
		"images, blobs, containers, snapshots on \"native\" snapshotter, snapshots on \"overlayfs\" snapshotter: failed precondition")
	_, err = images.NewImagesClient(s.conn).Delete(ctx, &images.DeleteImageRequest{Name: "i"})
	s.ok("remove image", err)
	_, err = containers.NewContainersClient(s.conn).Delete(ctx, &containers.DeleteContainerRequest{ID: "c"})
	s.ok("remove container", err)
	_, err = content.NewContentClient(s.conn).Delete(ctx, &content.DeleteContentRequest{Digest: digest})
	s.ok("remove blob", err)
	s.refusedWith("delete with snapshots", remove(name), codes.FailedPrecondition, "it still has snapshots on \"native\"")
	for _, kind := range []string{"overlayfs", "native"} {
		_, err = snapshotter.Remove(ctx, &snapshots.RemoveSnapshotRequest{Snapshotter: kind, Key: "k"})
		s.ok("remove snapshot", err)
	}
	s.ok("delete with a lease", remove(name))
	got, err := leases.NewLeasesClient(s.conn).List(ctx, &leases.ListRequest{})
	s.ok("list leases", err)
	s.is("the lease is gone", len(got.GetLeases()), 0)
}
