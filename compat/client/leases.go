package main

import (
	"regexp"
	"strings"
	"time"

	content "github.com/containerd/containerd/api/services/content/v1"
	images "github.com/containerd/containerd/api/services/images/v1"
	api "github.com/containerd/containerd/api/services/leases/v1"
	snapshots "github.com/containerd/containerd/api/services/snapshots/v1"
	"google.golang.org/grpc/codes"
)

func (s *suite) leases() {
	store := api.NewLeasesClient(s.conn)
	made, err := store.Create(s.ctx, &api.CreateRequest{Labels: labels{"a": "1"}})
	s.must("create without an id", err)
	s.is("the server's id", regexp.MustCompile(`^[0-9]+-[A-Za-z0-9_-]{4}$`).MatchString(made.Lease.ID), true)
	_, err = store.Delete(s.ctx, &api.DeleteRequest{ID: made.Lease.ID})
	s.ok("delete it", err)
	_, err = store.Create(s.ctx, &api.CreateRequest{ID: "one", Labels: labels{"a": strings.Repeat("v", 5000)}})
	s.ok("create, its labels not measured", err)
	_, err = store.Create(s.ctx, &api.CreateRequest{ID: "one"})
	s.refused("create twice", err, codes.AlreadyExists, "lease \"one\": already exists")
	_, err = store.Create(s.ctx, &api.CreateRequest{ID: "two", Labels: labels{"b": "2"}})
	s.ok("create another", err)
	for filter, want := range map[string]string{"": "one two", "id==one": "one", "labels.b==2": "two", "labels.a": "one"} {
		list, err := store.List(s.ctx, &api.ListRequest{Filters: []string{filter}})
		s.ok("list "+filter, err)
		var ids []string
		for _, lease := range list.GetLeases() {
			ids = append(ids, lease.ID)
		}
		s.is("listed "+filter, strings.Join(ids, " "), want)
	}
	_, err = store.List(s.ctx, &api.ListRequest{Filters: []string{"id=one"}})
	s.refused("bad filter", err, codes.InvalidArgument, "filters: parse error: [id >|=|< one]: unsupported operator \"=\": invalid argument: invalid argument")
	s.leaseResources(store)
	for _, id := range []string{"one", "two"} {
		_, err = store.Delete(s.ctx, &api.DeleteRequest{ID: id, Sync: true})
		s.ok("delete "+id, err)
	}
	_, err = store.Delete(s.ctx, &api.DeleteRequest{ID: "one"})
	s.refused("delete none", err, codes.NotFound, "lease \"one\": not found")
}

func (s *suite) leaseResources(store api.LeasesClient) {
	add := func(lease, kind, id string) error {
		_, err := store.AddResource(s.ctx, &api.AddResourceRequest{ID: lease, Resource: &api.Resource{ID: id, Type: kind}})
		return err
	}
	remove := func(lease, kind, id string) error {
		_, err := store.DeleteResource(s.ctx, &api.DeleteResourceRequest{ID: lease, Resource: &api.Resource{ID: id, Type: kind}})
		return err
	}
	list := func(lease string) (string, error) {
		answer, err := store.ListResources(s.ctx, &api.ListResourcesRequest{ID: lease})
		var all []string
		for _, one := range answer.GetResources() {
			all = append(all, one.Type+"="+one.ID)
		}
		return strings.Join(all, " "), err
	}
	for _, r := range [][2]string{{"snapshots/overlayfs", "k"}, {"ingests", "r"}, {"images", "i"}, {"content", absent}, {"snapshots/none", "k"}, {"images", "i"}} {
		s.ok("add "+r[0], add("one", r[0], r[1]))
	}
	got, err := list("one")
	s.ok("list resources", err)
	s.is("resources in order", got, "content="+absent+" images=i ingests=r snapshots/none=k snapshots/overlayfs=k")
	for _, c := range []struct {
		kind, id string
		code     codes.Code
		text     string
	}{
		{"nonsense", "x", codes.Unimplemented, "resource type nonsense not supported yet: not implemented"},
		{"", "x", codes.Unimplemented, "resource type  not supported yet: not implemented"},
		{"content/x", absent, codes.InvalidArgument, "invalid resource type content/x: invalid argument"},
		{"snapshots", "x", codes.InvalidArgument, "invalid snapshot resource type snapshots: invalid argument"},
		{"content", "x", codes.InvalidArgument, "invalid content resource id x: invalid checksum digest format: invalid argument"},
	} {
		s.refused("add "+c.kind+" "+c.id, add("one", c.kind, c.id), c.code, c.text)
		s.refused("remove "+c.kind+" "+c.id, remove("one", c.kind, c.id), c.code, c.text)
	}
	s.refusedWith("add an empty image", add("one", "images", ""), codes.Unknown, "key required")
	s.refusedWith("add to an empty snapshotter", add("one", "snapshots/", "k"), codes.Unknown, "bucket name required")
	s.refused("add to none", add("none", "nonsense", "x"), codes.NotFound, "lease \"none\": not found")
	s.refused("remove from none", remove("none", "images", "x"), codes.NotFound, "lease \"none\": not found")
	_, err = list("none")
	s.refused("list none", err, codes.NotFound, "lease \"none\": not found")
	s.ok("remove", remove("one", "ingests", "r"))
	s.ok("remove again", remove("one", "ingests", "r"))
	got, err = list("one")
	s.ok("list what is left", err)
	s.is("left", got, "content="+absent+" images=i snapshots/none=k snapshots/overlayfs=k")
	s.ok("clear", remove("one", "content", absent))
}

// collection: what a lease, a label and an image keep, and what nothing keeps.
func (s *suite) collection() {
	store, blobs := api.NewLeasesClient(s.conn), content.NewContentClient(s.conn)
	_, err := store.Create(s.ctx, &api.CreateRequest{ID: "keep"})
	s.must("lease", err)
	ctx := leased(s.ctx, "keep")
	child := s.blob(ctx, []byte("child"))
	held := s.blob(ctx, []byte("held"), labels{"containerd.io/gc.ref.content.0": child})
	rooted := s.blob(ctx, []byte("rooted"), labels{"containerd.io/gc.root": "x"})
	image := s.blob(ctx, []byte("imaged"))
	loose := s.blob(ctx, []byte("loose"))
	_, err = images.NewImagesClient(s.conn).Create(s.ctx, &images.CreateImageRequest{Image: plainImage("keeps", image)})
	s.ok("image", err)
	_, err = snapshots.NewSnapshotsClient(s.conn).Prepare(ctx, &snapshots.PrepareSnapshotRequest{Snapshotter: "overlayfs", Key: "loose"})
	s.ok("snapshot", err)
	collect := func() {
		_, err := store.Create(s.ctx, &api.CreateRequest{ID: "collect"})
		s.ok("lease to collect", err)
		_, err = store.Delete(s.ctx, &api.DeleteRequest{ID: "collect", Sync: true})
		s.ok("collect", err)
	}
	there := func(digest string) bool {
		_, err := blobs.Info(s.ctx, &content.InfoRequest{Digest: digest})
		return err == nil
	}
	collect()
	s.is("leased stay", []bool{there(child), there(held), there(rooted), there(image), there(loose)}, "[true true true true true]")
	_, err = store.AddResource(s.ctx, &api.AddResourceRequest{ID: "keep", Resource: &api.Resource{ID: held, Type: "content"}})
	s.ok("add", err)
	_, err = store.Delete(s.ctx, &api.DeleteRequest{ID: "keep"})
	s.ok("delete the lease", err)
	_, err = store.Create(s.ctx, &api.CreateRequest{ID: "holds"})
	s.ok("another lease", err)
	_, err = store.AddResource(s.ctx, &api.AddResourceRequest{ID: "holds", Resource: &api.Resource{ID: held, Type: "content"}})
	s.ok("add to it", err)
	collect()
	s.is("the rest goes", []bool{there(child), there(held), there(rooted), there(image), there(loose)}, "[true true true true false]")
	_, err = snapshots.NewSnapshotsClient(s.conn).Stat(s.ctx, &snapshots.StatSnapshotRequest{Snapshotter: "overlayfs", Key: "loose"})
	s.refusedWith("the snapshot goes", err, codes.NotFound, "not found")
	_, err = store.Delete(s.ctx, &api.DeleteRequest{ID: "holds"})
	s.ok("delete the other lease", err)
	past := time.Now().Add(-time.Minute).Format(time.RFC3339)
	_, err = store.Create(s.ctx, &api.CreateRequest{ID: "expired", Labels: labels{"containerd.io/gc.expire": past}})
	s.ok("expired lease", err)
	_, err = images.NewImagesClient(s.conn).Delete(s.ctx, &images.DeleteImageRequest{Name: "keeps"})
	s.ok("delete image", err)
	_, err = blobs.Delete(s.ctx, &content.DeleteContentRequest{Digest: rooted})
	s.ok("delete the rooted", err)
	collect()
	s.is("nothing is left", []bool{there(child), there(held), there(rooted), there(image)}, "[false false false false]")
	list, err := store.List(s.ctx, &api.ListRequest{})
	s.ok("list", err)
	s.is("the expired lease goes", len(list.GetLeases()), 0)
	_, err = s.written(leased(s.ctx, "none"), &content.WriteContentRequest{Action: content.WriteAction_COMMIT, Ref: "x", Data: []byte("x")})
	s.refusedWith("an unknown lease", err, codes.NotFound, "lease does not exist: not found")
	_, _ = blobs.Abort(s.ctx, &content.AbortRequest{Ref: "x"})
}
