package main

import (
	"strings"

	_ "github.com/containerd/containerd/api/services/mounts/v1"
	_ "github.com/containerd/containerd/api/services/sandbox/v1"
	_ "github.com/containerd/containerd/api/services/tasks/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"
)

// unbuilt: what gantry does not have says so, method by method: a method of a service that is there with its own name,
// any method of a service that is not there with the service's, as grpc does.
func (s *suite) unbuilt() {
	if !s.ours {
		return
	}
	for name, methods := range map[protoreflect.FullName]int{
		"containerd.services.mounts.v1.Mounts":      5,
		"containerd.services.sandbox.v1.Controller": 9,
	} {
		found, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
		s.must("find "+string(name), err)
		all := found.(protoreflect.ServiceDescriptor).Methods()
		s.is("methods of "+string(name), all.Len(), methods)
		for i := range all.Len() {
			method := string(all.Get(i).Name())
			err := s.conn.Invoke(s.ctx, "/"+string(name)+"/"+method, &emptypb.Empty{}, &emptypb.Empty{})
			s.refused(method, err, codes.Unimplemented, "unknown service "+string(name))
		}
	}
	checkpoint := "containerd.services.tasks.v1.Tasks/Checkpoint"
	err := s.conn.Invoke(s.ctx, "/"+checkpoint, &emptypb.Empty{}, &emptypb.Empty{})
	s.refusedWith(strings.ReplaceAll(checkpoint, "/", "."), err, codes.Unimplemented, checkpoint)
}
