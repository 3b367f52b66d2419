package main

import (
	"strings"
	"time"

	api "github.com/containerd/containerd/api/services/images/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func (s *suite) images() {
	store := api.NewImagesClient(s.conn)
	create := func(change func(*api.Image)) error {
		one := plainImage("one", absent)
		change(one)
		_, err := store.Create(s.ctx, &api.CreateImageRequest{Image: one})
		return err
	}
	s.refusedWith("no name", create(func(i *api.Image) { i.Name = "" }), codes.InvalidArgument, "Image.Name required")
	s.refused("long label", create(func(i *api.Image) { i.Labels = labels{"k": strings.Repeat("v", 4096)} }), codes.InvalidArgument,
		"image.Labels: label key and value length (4097 bytes) greater than maximum size (4096 bytes), key: k: invalid argument")
	s.refused("bad digest", create(func(i *api.Image) { i.Target.Digest = "nonsense" }), codes.InvalidArgument,
		"target.Digest \"nonsense\" invalid: invalid checksum digest format: invalid argument")
	s.refused("short digest", create(func(i *api.Image) { i.Target.Digest = "sha256:00" }), codes.InvalidArgument,
		"target.Digest \"sha256:00\" invalid: invalid checksum digest length: invalid argument")
	s.refused("other digest", create(func(i *api.Image) { i.Target.Digest = "md5:00" }), codes.InvalidArgument,
		"target.Digest \"md5:00\" invalid: unsupported digest algorithm: invalid argument")
	s.refusedWith("no size", create(func(i *api.Image) { i.Target.Size = 0 }), codes.InvalidArgument, "target.Size must be greater than zero")
	s.refused("no media type", create(func(i *api.Image) { i.Target.MediaType = "" }), codes.InvalidArgument, "target.MediaType must be set: invalid argument")
	made := plainImage("one", absent)
	made.Labels, made.Target.Annotations = labels{"a": "1", "none": ""}, labels{"k": "v", "none": ""}
	made.CreatedAt = timestamppb.New(time.Unix(1, 0))
	_, err := store.Create(s.ctx, &api.CreateImageRequest{Image: made})
	s.must("create", err)
	get := func() *api.Image {
		answer, err := store.Get(s.ctx, &api.GetImageRequest{Name: "one"})
		if err != nil {
			s.fail("get", "%v", err)
			return &api.Image{Target: &types.Descriptor{}}
		}
		return answer.Image
	}
	s.is("labels", printed(get().Labels), "map[a:1]")
	s.is("annotations", printed(get().Target.Annotations), "map[k:v]")
	s.is("created now", get().CreatedAt.AsTime().Year() > 2000, true)
	s.is("created = updated", get().CreatedAt.AsTime(), get().UpdatedAt.AsTime())
	s.refused("twice", create(func(*api.Image) {}), codes.AlreadyExists, "image \"one\": already exists")
	_, err = store.Get(s.ctx, &api.GetImageRequest{Name: "no"})
	s.refused("get missing", err, codes.NotFound, "image \"no\": not found")
	epoch := plainImage("old", absent)
	_, err = store.Create(s.ctx, &api.CreateImageRequest{Image: epoch, SourceDateEpoch: timestamppb.New(time.Unix(1000, 0))})
	s.ok("create with an epoch", err)
	old, err := store.Get(s.ctx, &api.GetImageRequest{Name: "old"})
	s.ok("get it", err)
	s.is("epoch", []int64{old.GetImage().GetCreatedAt().GetSeconds(), old.GetImage().GetUpdatedAt().GetSeconds()}, "[1000 1000]")
	s.imageUpdates(store, get)
	remove := func(name string, target *types.Descriptor) error {
		_, err := store.Delete(s.ctx, &api.DeleteImageRequest{Name: name, Target: target, Sync: true})
		return err
	}
	s.refused("delete missing", remove("no", nil), codes.NotFound, "image \"no\": not found")
	other := sum([]byte("other"))
	s.refused("delete another target", remove("one", &types.Descriptor{Digest: other}), codes.NotFound,
		"image \"one\" has target "+get().Target.Digest+", not "+other+": not found")
	s.ok("delete this target", remove("one", &types.Descriptor{Digest: get().Target.Digest}))
	s.ok("delete any target", remove("old", &types.Descriptor{}))
}

func (s *suite) imageUpdates(store api.ImagesClient, get func() *api.Image) {
	update := func(i *api.Image, paths ...string) error {
		request := &api.UpdateImageRequest{Image: i}
		if len(paths) > 0 {
			request.UpdateMask = &fieldmaskpb.FieldMask{Paths: paths}
		}
		_, err := store.Update(s.ctx, request)
		return err
	}
	with := func(l, a labels) *api.Image {
		one := plainImage("one", sum([]byte("second")))
		one.Labels, one.Target.Annotations = l, a
		return one
	}
	s.refusedWith("update no name", update(plainImage("", absent)), codes.InvalidArgument, "Image.Name required")
	s.refused("update missing", update(plainImage("no", absent)), codes.NotFound, "image \"no\": not found")
	for _, path := range []string{"name", "target.digest", "created_at", "Labels"} {
		s.refused("update "+path, update(with(labels{"z": "1"}, nil), "labels.z", path), codes.InvalidArgument,
			"cannot update \""+path+"\" field on image \"one\": invalid argument")
	}
	s.is("refused leaves it", printed(get().Labels), "map[a:1]")
	s.ok("update a label", update(with(labels{"b": "2", "c": "3"}, nil), "labels.b"))
	s.is("updated a label", printed(get().Labels), "map[a:1 b:2]")
	s.is("target stays", get().Target.Digest, absent)
	s.ok("remove a label", update(with(labels{"b": ""}, nil), "labels.b"))
	s.is("removed a label", printed(get().Labels), "map[a:1]")
	s.ok("update an annotation", update(with(nil, labels{"m": "n"}), "annotations.m"))
	s.is("updated an annotation", printed(get().Target.Annotations), "map[k:v m:n]")
	s.ok("update annotations", update(with(nil, labels{"o": "p"}), "annotations"))
	s.is("updated annotations", printed(get().Target.Annotations), "map[o:p]")
	s.ok("update target", update(with(nil, nil), "target"))
	s.is("updated target", get().Target.Digest, sum([]byte("second")))
	bad := with(nil, nil)
	bad.Target.Size = 0
	s.refusedWith("update bad target", update(bad, "target"), codes.InvalidArgument, "target.Size must be greater than zero")
	created := get().CreatedAt.AsTime()
	s.ok("update whole", update(with(labels{"w": "1"}, nil)))
	s.is("updated whole", printed(get().Labels)+printed(get().Target.Annotations), "map[w:1]map[]")
	s.is("created stays", get().CreatedAt.AsTime(), created)
	_, err := store.Update(s.ctx, &api.UpdateImageRequest{Image: with(nil, nil), SourceDateEpoch: timestamppb.New(time.Unix(1000, 0))})
	s.ok("update with an epoch", err)
	s.is("only updated_at", []bool{get().UpdatedAt.Seconds == 1000, get().CreatedAt.AsTime().Equal(created)}, "[true true]")
}
