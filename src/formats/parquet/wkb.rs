//! Well-known binary: ISO and EWKB, with Z and M.

/// The coordinates of a position: x, y and z. Without a z it is NaN.
pub(super) type Coordinates = [f64; 3];

/// A geometry.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Geometry {
    Empty,
    Point(Coordinates),
    Lines(Vec<Vec<Coordinates>>),
    /// A geometry that is not a path, and its name.
    Other(&'static str),
}

const POINT: u32 = 1;
const LINE: u32 = 2;
const MULTI_LINE: u32 = 5;
/// The SRIDs that are accepted: unknown, and WGS 84.
const SRIDS: [u32; 2] = [0, 4326];

/// Parses a geometry.
///
/// # Errors
/// A message, if the bytes are not a geometry.
pub(super) fn parse(bytes: &[u8]) -> Result<Geometry, String> {
    let mut input = Input { rest: bytes, is_big_endian: false };
    let header = input.header()?;
    match header.kind {
        POINT => {
            let point = input.coordinates(&header)?;
            // WKB has no empty point except this.
            let is_empty = point[0].is_nan() && point[1].is_nan();
            Ok(if is_empty { Geometry::Empty } else { Geometry::Point(point) })
        }
        LINE => Ok(Geometry::Lines(vec![input.line(&header)?])),
        MULTI_LINE => {
            let count = input.u32()?;
            let mut lines = Vec::new();
            for _ in 0..count {
                let header = input.header()?;
                if header.kind != LINE {
                    return Err(
                        "the geometry is damaged: a MultiLineString has other parts".to_owned()
                    );
                }
                lines.push(input.line(&header)?);
            }
            Ok(Geometry::Lines(lines))
        }
        3 => Ok(Geometry::Other("Polygon")),
        4 => Ok(Geometry::Other("MultiPoint")),
        6 => Ok(Geometry::Other("MultiPolygon")),
        7 => Ok(Geometry::Other("GeometryCollection")),
        kind => Err(format!("the geometry is damaged: its type is {kind}")),
    }
}

struct Header {
    kind: u32,
    has_z: bool,
    has_m: bool,
}

struct Input<'a> {
    rest: &'a [u8],
    is_big_endian: bool,
}

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (&bytes, rest) =
            self.rest.split_first_chunk().ok_or("the geometry is damaged: it ends early")?;
        self.rest = rest;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, String> {
        let bytes = self.take()?;
        Ok(if self.is_big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn f64(&mut self) -> Result<f64, String> {
        let bytes = self.take()?;
        Ok(if self.is_big_endian { f64::from_be_bytes(bytes) } else { f64::from_le_bytes(bytes) })
    }

    fn header(&mut self) -> Result<Header, String> {
        const EWKB_Z: u32 = 1 << 31;
        const EWKB_M: u32 = 1 << 30;
        const EWKB_SRID: u32 = 1 << 29;
        let [order] = self.take()?;
        self.is_big_endian = order == 0;
        let code = self.u32()?;
        if code & EWKB_SRID != 0 {
            let srid = self.u32()?;
            if !SRIDS.contains(&srid) {
                return Err(format!("the SRID {srid} of the geometry is not that of WGS 84"));
            }
        }
        let plain = code & !(EWKB_Z | EWKB_M | EWKB_SRID);
        let dimensions = plain / 1000;
        Ok(Header {
            kind: plain % 1000,
            has_z: code & EWKB_Z != 0 || matches!(dimensions, 1 | 3),
            has_m: code & EWKB_M != 0 || matches!(dimensions, 2 | 3),
        })
    }

    fn coordinates(&mut self, header: &Header) -> Result<Coordinates, String> {
        let (x, y) = (self.f64()?, self.f64()?);
        let z = if header.has_z { self.f64()? } else { f64::NAN };
        if header.has_m {
            self.f64()?;
        }
        Ok([x, y, z])
    }

    fn line(&mut self, header: &Header) -> Result<Vec<Coordinates>, String> {
        let count = self.u32()?;
        (0..count).map(|_| self.coordinates(header)).collect()
    }
}
