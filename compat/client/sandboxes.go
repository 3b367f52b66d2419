package main

import (
	"strings"

	api "github.com/containerd/containerd/api/services/sandbox/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"
)

func (s *suite) sandboxes() {
	store := api.NewStoreClient(s.conn)
	box := func(id string) *types.Sandbox {
		return &types.Sandbox{SandboxID: id, Runtime: &types.Sandbox_Runtime{Name: "io.containerd.runc.v2"}}
	}
	one := box("one")
	one.Labels, one.Spec, one.Sandboxer = labels{"a": "1"}, &anypb.Any{TypeUrl: "x", Value: []byte("{}")}, "shim"
	one.Extensions = map[string]*anypb.Any{"e": {TypeUrl: "t"}}
	_, err := store.Create(s.ctx, &api.StoreCreateRequest{Sandbox: one})
	s.must("create", err)
	_, err = store.Create(s.ctx, &api.StoreCreateRequest{Sandbox: box("one")})
	s.refusedWith("create twice", err, codes.AlreadyExists, "already exists")
	_, err = store.Create(s.ctx, &api.StoreCreateRequest{Sandbox: box("a b")})
	s.refusedWith("bad id", err, codes.InvalidArgument, "identifier \"a b\" must match")
	get := func() *types.Sandbox {
		answer, err := store.Get(s.ctx, &api.StoreGetRequest{SandboxID: "one"})
		if err != nil {
			s.fail("get", "%v", err)
		}
		return answer.GetSandbox()
	}
	s.is("fields", []any{printed(get().GetLabels()), get().GetSpec().GetTypeUrl(), get().GetSandboxer(), get().GetRuntime().GetName(), len(get().GetExtensions())},
		"[map[a:1] x shim io.containerd.runc.v2 1]")
	_, err = store.Get(s.ctx, &api.StoreGetRequest{SandboxID: "none"})
	s.refusedWith("get none", err, codes.NotFound, "not found")
	update := func(b *types.Sandbox, fields ...string) error {
		_, err := store.Update(s.ctx, &api.StoreUpdateRequest{Sandbox: b, Fields: fields})
		return err
	}
	changed := box("one")
	changed.Labels = labels{"b": "2", "c": "3"}
	s.ok("update a label", update(changed, "labels.b"))
	s.is("updated a label", printed(get().GetLabels()), "map[a:1 b:2]")
	s.ok("update labels", update(changed, "labels"))
	s.is("updated labels", printed(get().GetLabels()), "map[b:2 c:3]")
	s.refusedWith("update id", update(changed, "id"), codes.InvalidArgument, "cannot update \"id\" field on sandbox \"one\"")
	other := box("one")
	other.Runtime.Name = "other"
	s.refusedWith("update runtime", update(other), codes.InvalidArgument, "immutable")
	s.refusedWith("update none", update(box("none")), codes.NotFound, "not found")
	_, err = store.Create(s.ctx, &api.StoreCreateRequest{Sandbox: box("two")})
	s.ok("create another", err)
	for filter, want := range map[string]string{"": "one two", "id==one": "one", "labels.b==2": "one"} {
		list, err := store.List(s.ctx, &api.StoreListRequest{Filters: []string{filter}})
		s.ok("list "+filter, err)
		var ids []string
		for _, one := range list.GetList() {
			ids = append(ids, one.SandboxID)
		}
		s.is("listed "+filter, strings.Join(ids, " "), want)
	}
	_, err = store.List(s.ctx, &api.StoreListRequest{Filters: []string{"id=x"}})
	s.refusedWith("bad filter", err, codes.InvalidArgument, "unsupported operator \"=\"")
	for _, id := range []string{"one", "two"} {
		_, err = store.Delete(s.ctx, &api.StoreDeleteRequest{SandboxID: id})
		s.ok("delete "+id, err)
	}
	_, err = store.Delete(s.ctx, &api.StoreDeleteRequest{SandboxID: "one"})
	s.refusedWith("delete none", err, codes.NotFound, "not found")
}
