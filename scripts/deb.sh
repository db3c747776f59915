#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the Debian package of what git has of this tree, changes that are not committed included,
# and has lintian look at it. The result is build/deb/weft_VERSION_ARCH.deb.
set -eu
cd "$(dirname "$0")/.."
version=$(sed -n "s/^  version: '\(.*\)',$/\1/p" meson.build)
arch=$(dpkg --print-architecture)
out=build/deb
tree=$out/weft-$version
package=weft_${version}_$arch.deb
rm -rf "$out"
mkdir -p "$tree"
git ls-files -z --cached --exclude-standard -- . ':!tests/vectors/data' |
	xargs -0 cp --parents -t "$tree" --
cp -r packaging/debian "$tree/debian"
# the version is meson.build's, the time that of the last change
cat >"$tree/debian/changelog" <<END
weft ($version) unstable; urgency=medium

  * What changed is in the repository's log.

 -- $(sed -n 's/^Maintainer: //p' packaging/debian/control)  $(git log -1 --format=%aD)
END
echo "weft: building $out/$package"
log=$PWD/$out/build.log
(cd "$tree" && DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:+$DEB_BUILD_OPTIONS }nocheck noautodbgsym" \
	dpkg-buildpackage -b -us -uc) >"$log" 2>&1 || {
	tail -n 40 "$log" >&2
	echo "weft: the package could not be built (above; all of it: $log)" >&2
	exit 1
}
rm -rf "$tree"
lintian --fail-on error,warning --allow-root --no-cfg "$out/$package"
