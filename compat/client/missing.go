package main

import (
	containers "github.com/containerd/containerd/api/services/containers/v1"
	content "github.com/containerd/containerd/api/services/content/v1"
	events "github.com/containerd/containerd/api/services/events/v1"
	images "github.com/containerd/containerd/api/services/images/v1"
	leases "github.com/containerd/containerd/api/services/leases/v1"
	namespaces "github.com/containerd/containerd/api/services/namespaces/v1"
	snapshots "github.com/containerd/containerd/api/services/snapshots/v1"
	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	"google.golang.org/grpc/codes"
)

// missing: requests without the message they are about. They end a containerd, so only gantry is asked.
func (s *suite) missing() {
	if !s.ours {
		return
	}
	_, err := namespaces.NewNamespacesClient(s.conn).Create(s.ctx, &namespaces.CreateNamespaceRequest{})
	s.refusedWith("namespace create", err, codes.InvalidArgument, "namespace")
	_, err = namespaces.NewNamespacesClient(s.conn).Update(s.ctx, &namespaces.UpdateNamespaceRequest{})
	s.refusedWith("namespace update", err, codes.InvalidArgument, "namespace")
	_, err = containers.NewContainersClient(s.conn).Create(s.ctx, &containers.CreateContainerRequest{})
	s.refusedWith("container create", err, codes.InvalidArgument, "container")
	_, err = containers.NewContainersClient(s.conn).Update(s.ctx, &containers.UpdateContainerRequest{})
	s.refusedWith("container update", err, codes.InvalidArgument, "container")
	_, err = images.NewImagesClient(s.conn).Create(s.ctx, &images.CreateImageRequest{})
	s.refusedWith("image create", err, codes.InvalidArgument, "image")
	_, err = images.NewImagesClient(s.conn).Create(s.ctx, &images.CreateImageRequest{Image: &images.Image{Name: "x"}})
	s.refusedWith("image create without target", err, codes.InvalidArgument, "target")
	_, err = images.NewImagesClient(s.conn).Update(s.ctx, &images.UpdateImageRequest{})
	s.refusedWith("image update", err, codes.InvalidArgument, "image")
	_, err = leases.NewLeasesClient(s.conn).AddResource(s.ctx, &leases.AddResourceRequest{ID: "x"})
	s.refusedWith("lease add", err, codes.InvalidArgument, "resource")
	_, err = leases.NewLeasesClient(s.conn).DeleteResource(s.ctx, &leases.DeleteResourceRequest{ID: "x"})
	s.refusedWith("lease delete", err, codes.InvalidArgument, "resource")
	_, err = content.NewContentClient(s.conn).Update(s.ctx, &content.UpdateRequest{})
	s.refusedWith("content update", err, codes.InvalidArgument, "info")
	_, err = snapshots.NewSnapshotsClient(s.conn).Update(s.ctx, &snapshots.UpdateSnapshotRequest{Snapshotter: "overlayfs"})
	s.refusedWith("snapshot update", err, codes.InvalidArgument, "info")
	_, err = events.NewEventsClient(s.conn).Forward(s.ctx, &events.ForwardRequest{})
	s.refusedWith("forward", err, codes.InvalidArgument, "envelope")
	_, err = events.NewEventsClient(s.conn).Publish(s.ctx, &events.PublishRequest{Topic: "/x"})
	s.ok("publish without event", err)
	_, err = tasks.NewTasksClient(s.conn).DeleteProcess(s.ctx, &tasks.DeleteProcessRequest{ContainerID: "x"})
	s.refusedWith("delete of an exec without id", err, codes.InvalidArgument, "exec")
}

// leftovers removes the image and the namespaces; a namespace that still holds something refuses.
func (s *suite) leftovers() {
	pictures, err := images.NewImagesClient(s.conn).List(s.ctx, &images.ListImagesRequest{})
	s.ok("images", err)
	for _, one := range pictures.GetImages() {
		_, err = images.NewImagesClient(s.conn).Delete(s.ctx, &images.DeleteImageRequest{Name: one.Name, Sync: true})
		s.ok("delete image "+one.Name, err)
	}
	_, err = namespaces.NewNamespacesClient(s.conn).Delete(s.ctx, &namespaces.DeleteNamespaceRequest{Name: s.ns})
	s.ok("delete the namespace", err)
}
