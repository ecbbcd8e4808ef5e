#version 330
in vec3 in_position;   // world
in vec3 in_normal;
in vec2 in_occlusion;  // how open to the surroundings; how visible through the lips
in vec3 in_reach;       // how much of the fill and rim lights reaches it
in vec2 in_uv;
in vec3 in_rest;       // on the mean face, metres
in float in_neck;
uniform mat4 to_clip;
out vec3 position, normal, rest;
out vec2 uv, occlusion;
out vec3 reach;
out float neck;
void main() {
    position = in_position; normal = in_normal; uv = in_uv; rest = in_rest; occlusion = in_occlusion; reach = in_reach; neck = in_neck;
    gl_Position = to_clip * vec4(in_position, 1.0);
}
