package main

import (
	"strings"

	api "github.com/containerd/containerd/api/services/images/v1"
	"google.golang.org/grpc/codes"
)

// filters: the grammar, asked of the images.
func (s *suite) filters() {
	store := api.NewImagesClient(s.conn)
	for name, l := range map[string]labels{
		"f1": {"a": "x", "a.b": "dotted", "a/b": "slashed"}, "f2": {"a": "y y", "n": "12"}, "f3": nil,
	} {
		one := plainImage(name, absent)
		one.Labels = l
		_, err := store.Create(s.ctx, &api.CreateImageRequest{Image: one})
		s.must("create "+name, err)
	}
	list := func(filter string) (string, error) {
		answer, err := store.List(s.ctx, &api.ListImagesRequest{Filters: []string{filter}})
		var names []string
		for _, one := range answer.GetImages() {
			names = append(names, one.Name)
		}
		return strings.Join(names, " "), err
	}
	for _, c := range []struct{ filter, want string }{
		{"", "f1 f2 f3"},
		{"name==f1", "f1"},
		{"name == f1", "f1"},
		{" name==f1", "f1"},
		{"name==f1, labels.a==x", "f1"},
		{`"name"==f1`, "f1"},
		{`name=="f1"`, "f1"},
		{"labels.a", "f1 f2"},
		{"labels.a.b==dotted", "f1"},
		{`labels."a/b"==slashed`, "f1"},
		{`labels.a=="y y"`, "f2"},
		{`labels.a=="y\x20y"`, "f2"},
		{"labels.n~=/^[0-9]+$/", "f2"},
		{`labels.n~=/\\d/`, "f2"},
		{"labels.n~=|^1|", "f2"},
		{"labels.none!=x", "f1 f2 f3"},
		{`labels.none!=""`, ""},
		{"labels.none~=/.*/", "f1 f2 f3"},
		{"labels.none==", "ERR"},
		{"bogus!=x", "f1 f2 f3"},
		{"bogus", ""},
		{"labels", ""},
		{"target.digest==" + absent, "f1 f2 f3"},
		{"target.mediatype~=octet", "f1 f2 f3"},
		{"target.media_type~=octet", ""},
		{"target.size==7", ""},
		{"name.rest==f1", "f1"},
		{"name~=[", ""},
		{"name==f/1", ""},
	} {
		got, err := list(c.filter)
		if c.want == "ERR" {
			s.refusedWith("refuses "+c.filter, err, codes.InvalidArgument, "filters: parse error")
		} else if s.ok("accepts "+c.filter, err) {
			s.is("matches "+c.filter, got, c.want)
		}
	}
	for _, c := range []struct{ filter, text string }{
		{"  ", `[  ]: expected field or quoted`},
		{"name==f1 ", "[name==f1 >| |< ]: unexpected input:  "},
		{"name ", "[name ]: expected an operator (\"==\"|\"!=\"|\"~=\")"},
		{"name=f1", `[name >|=|< f1]: unsupported operator "="`},
		{"name====f1", `[name >|=|< ===f1]: unsupported operator "===="`},
		{"name==", `[name==]: expected value or quoted`},
		{"name==/f1", `[name== >|/|< f1]: quoted literal not terminated`},
		{"name==/f1/", `[name== >|/|< f1/]: invalid quote encountered`},
		{`name~=/\d/`, `illegal escape sequence`},
		{`name=="f1`, `quoted literal not terminated`},
		{"labels.a/b==x", ``},
		{",", `expected field or quoted`},
		{"name==f1,", `expected field or quoted`},
		{"name=!f1", `unsupported operator "=!"`},
		{"~=x", `expected field or quoted`},
	} {
		_, err := list(c.filter)
		s.refusedWith("refuses "+c.filter, err, codes.InvalidArgument, "filters: parse error: ", strings.TrimSuffix(c.text, "?"))
	}
	for _, name := range []string{"f1", "f2", "f3"} {
		_, err := store.Delete(s.ctx, &api.DeleteImageRequest{Name: name})
		s.ok("delete "+name, err)
	}
}
