// The types of the answers of the JSON API and of the values that several modules share. Only the type check reads this file.

/** The settings and the data that the server or `waywiser measure --report` writes into the page. */
interface PageData {
    /** The presets of a server, in their order. */
    presets?: Preset[];
    /** The template of the URL of map tiles, with {z}, {x} and {y}. */
    tiles?: string | null;
    tiles_attribution?: string | null;
    /** Maximum size of a file to measure. */
    max_upload_bytes?: number;
    /** An answer of POST /api/measure. The page shows it, and has no other views. */
    report?: Measured | null;
}

/** A preset with the values that it sets for the sliders. Those that it does not set are null. */
interface Preset {
    name: string;
    options: Record<string, number | null>;
}

interface Rejection {
    reason: string;
    count: number;
    first_offset: number;
    rejected_length_m?: number;
    rejected_length?: number;
}

/** The fields that a track and a total have. Lengths of planar tracks have names without a unit. */
interface Lengths {
    points: number;
    accepted: number;
    segments: number;
    model: string;
    length_m?: number;
    length?: number;
    raw_length_m?: number;
    raw_length?: number;
    gap_length_m?: number;
    gap_length?: number;
    elapsed_s?: number | null;
    moving_s?: number | null;
    stopped_s?: number | null;
    max_speed_mps?: number | null;
    max_speed?: number | null;
    ascent_m?: number | null;
    ascent?: number | null;
    descent_m?: number | null;
    descent?: number | null;
    estimated_length_m?: number | null;
    estimated_length_low_m?: number | null;
    estimated_length_high_m?: number | null;
    stop_count?: number | null;
    trip_count?: number | null;
    rejections: Rejection[];
    notes: { message: string; count: number; file?: string }[];
    windows?: { start: string; end: string; length_m?: number; length?: number }[];
}

interface Trip {
    start_time: string;
    end_time: string;
    estimated_length_m: number;
    estimated_length_low_m: number;
    estimated_length_high_m: number;
}

interface Track extends Lengths {
    file: string;
    track: string | null;
    kind: string;
    track_index: number;
    bbox?: number[] | null;
    start_time?: string | null;
    end_time?: string | null;
    incomplete: boolean;
    trips?: Trip[];
}

interface Total extends Lengths {
    files: number;
    failed_files: number;
    tracks: number;
}

/** A simplified line with its profile. */
interface Line {
    file: string;
    track_index: number;
    /** The place of its track in the list of tracks. The page sets it. */
    place: number;
    point_count: number;
    coordinates: [number, number][];
    segment_starts: number[];
    distance_m?: number[];
    distance?: number[];
    time_ms: (number | null)[];
    elevation_m?: (number | null)[];
    elevation?: (number | null)[];
    speed_mps?: (number | null)[];
    speed?: (number | null)[];
    rejected?: (string | null)[];
}

interface Measured {
    /** The title of a report: the name of its only file, or the number of files. */
    title?: string;
    tracks: Track[];
    total: Total;
    errors: string[];
    lines: Line[];
    more_lines: number;
}

interface Fix {
    x?: number;
    y?: number;
    z?: number;
    time?: string;
    accuracy_m?: number;
}

/** A recording, as GET /api/paths/{name} returns it. */
interface Recording {
    name: string;
    complete?: boolean;
    committed_points?: number;
    create_time?: string;
    update_time?: string;
    last_point?: Fix;
    recent_points?: Fix[];
    summary?: {
        options?: { model?: string; windows?: { unit?: string; time_zone?: string } };
        point_count?: number;
        accepted_count?: number;
        length_m?: number;
        length?: number;
        raw_length_m?: number;
        raw_length?: number;
        gap_length_m?: number;
        gap_length?: number;
        estimated_length_m?: number;
        estimated_length_low_m?: number;
        estimated_length_high_m?: number;
        elapsed_time?: string;
        moving_time?: string;
        max_speed_mps?: number;
        max_speed?: number;
        ascent_m?: number;
        descent_m?: number;
        bounds?: { min_x?: number; min_y?: number; max_x?: number; max_y?: number };
        rejections?: Rejection[];
        windows?: { start_time: string; end_time: string; length_m?: number; length?: number; point_count?: number }[];
    };
}

interface RecordingList {
    paths?: Recording[];
    next_page_token?: string;
}
